"""Whether this machine can run a lab by Vagrant: facts are gathered, then judged; nothing is changed."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path

from lab.errors import PreflightError
from lab.local import run
from lab.providers.base import Machine, Problem
from lab.providers.lxc_preflight import INOTIFY_INSTANCES

OLDEST = (2, 3)
PLUGINS = {"libvirt": "vagrant-libvirt", "lxc": "vagrant-lxc"}
"""Backends that are plugins; VirtualBox is part of Vagrant."""
PROGRAMS = {"libvirt": ("libvirtd", "virtqemud"), "virtualbox": ("VBoxManage",), "lxc": ("lxc-start",)}
"""One of these is there when the backend is."""
PACKAGES = {"libvirt": "libvirt-daemon-system", "virtualbox": "virtualbox", "lxc": "lxc"}
LXC_BEFORE = (2, 4)
"""vagrant-lxc 1.4.3, the last there is, calls what Ruby 3.2 and with it Vagrant 2.4 no longer has."""
RANGES = Path("/etc/vbox/networks.conf")
DEFAULT_RANGES = "* 192.168.56.0/21\n"
"""What VirtualBox 6.1.28 and later allow for host-only networks without that file."""
MARGIN_MIB = 1024
ISO_TOOLS = (("xorriso", "-as", "mkisofs"), ("genisoimage",), ("mkisofs",))
KVM = Path("/dev/kvm")
SEARCH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
"""Daemons lie where a user's path does not lead."""


@dataclass(frozen=True)
class LaptopFacts:
    """What this machine has. `ranges` is the text of VirtualBox's file, None without it; `misspelt` whether
    the file stands under the name that a well-known answer gives it; `routes` are the networks of this
    machine's links by their names; `inotify` None when it cannot be read."""

    vagrant: str
    plugins: tuple[str, ...]
    program: bool
    ranges: str | None
    misspelt: bool
    routes: dict[str, str]
    memory_mib: int
    kvm: bool
    iso: bool
    inotify: int | None
    boxes: str


def gather(backend: str, ranges: Path = RANGES) -> LaptopFacts:
    """Look at this machine."""
    there = shutil.which("vagrant") is not None
    version = _said(["vagrant", "--version"]) if there else ""
    memory = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    inotify = Path("/proc/sys/fs/inotify/max_user_instances")
    return LaptopFacts(
        vagrant=version.rpartition(" ")[2].strip(),
        plugins=tuple(re.findall(r"^([\w-]+) \(", _said(["vagrant", "plugin", "list"]), re.M))
        if there
        else (),
        program=any(shutil.which(name, path=SEARCH) for name in PROGRAMS[backend]),
        ranges=ranges.read_text() if ranges.exists() else None,
        misspelt=ranges.with_name("network.conf").exists(),
        routes=_routes(_said(["ip", "-4", "route", "show"])),
        memory_mib=int(memory) // 1024,
        kvm=_opens(KVM),
        iso=any(shutil.which(tool[0]) for tool in ISO_TOOLS),
        inotify=int(inotify.read_text()) if inotify.exists() else None,
        boxes=_said(["vagrant", "box", "list"]) if there and backend == "lxc" else "",
    )


def judge(facts: LaptopFacts, backend: str, machines: list[Machine]) -> list[Problem]:
    """All reasons why these machines cannot be made here by this backend."""
    if not facts.vagrant:
        return [Problem("vagrant", "not found", "on the PATH", "apt-get install vagrant")]
    problems = _versions(facts, backend)
    if backend == "virtualbox":
        problems += allowed(facts, [machine.interface.ip for machine in machines])
    if backend == "libvirt" and machines:
        problems += _clash(facts, machines[0].interface.network)
    if backend != "lxc":
        problems += _full_machines(facts, machines)
    elif facts.inotify is not None:
        fixed, each = INOTIFY_INSTANCES
        need = fixed + each * len(machines)
        if facts.inotify < need:
            key = "fs.inotify.max_user_instances"
            wanted = f"{need} for {len(machines)} machines"
            problems.append(Problem(key, str(facts.inotify), wanted, f"sysctl -w {key}={need}"))
    return problems


def _versions(facts: LaptopFacts, backend: str) -> list[Problem]:
    version = tuple(int(part) for part in re.findall(r"\d+", facts.vagrant)[:2])
    problems = []
    if not facts.program:
        names = " or ".join(PROGRAMS[backend])
        fix = f"install {backend} (Debian: apt-get install {PACKAGES[backend]})"
        problems.append(Problem(backend, f"no {names}", "installed", fix))
    if version < OLDEST:
        problems.append(Problem("vagrant", facts.vagrant, "2.3 or later", "upgrade Vagrant"))
    plugin = PLUGINS.get(backend)
    if plugin and plugin not in facts.plugins:
        problems.append(
            Problem("vagrant plugin", f"no {plugin}", "installed", f"vagrant plugin install {plugin}")
        )
    if backend == "lxc" and version >= LXC_BEFORE:
        rule = "2.3, the last that vagrant-lxc works with"
        problems.append(Problem("vagrant", facts.vagrant, rule, "use --backend libvirt or virtualbox"))
    if backend == "lxc" and "plumbline/debian-12" not in facts.boxes:
        problems.append(Problem("vagrant box", "no plumbline/debian-12", "added", "invoke vagrant.box"))
    return problems


def allowed(facts: LaptopFacts, addresses: list[IPv4Address]) -> list[Problem]:
    """Addresses that VirtualBox refuses for host-only networks, with the line that allows them (C25)."""
    text = DEFAULT_RANGES if facts.ranges is None else facts.ranges
    networks = [ip_network(word) for word in _ranges(text)]
    outside = [address for address in addresses if not any(address in network for network in networks)]
    if not outside:
        return []
    line = "\n".join(
        f"* {network}" for network in sorted({IPv4Network((int(a) & ~255, 24)) for a in outside})
    )
    seen = f"{', '.join(map(str, outside))} outside {', '.join(map(str, networks)) or 'every range'}"
    if facts.misspelt and facts.ranges is None:
        seen += f"; {RANGES.with_name('network.conf')} is not read: the name has an s"
    if facts.ranges is not None and re.search(r"^\s*\d", facts.ranges, re.M):
        seen += f"; {RANGES} has lines without the leading `* `, which count for nothing"
    return [
        Problem("VirtualBox's host-only ranges", seen, f"allowed in {RANGES}", f"echo '{line}' >> {RANGES}")
    ]


def _ranges(text: str) -> list[str]:
    found = re.findall(r"^\s*\*\s+(.+)$", text, re.M)
    return [word for words in found for word in words.split() if ":" not in word]


def _clash(facts: LaptopFacts, lan: IPv4Network) -> list[Problem]:
    """Links of this machine whose network overlaps the lab's: libvirt refuses to start its own."""
    return [
        Problem(
            "network", f"{route} is on {link}", f"{lan} free", f"take another network.lan, or remove {link}"
        )
        for route, link in facts.routes.items()
        if ip_network(route).overlaps(lan) and not link.startswith("virbr")
    ]


def _full_machines(facts: LaptopFacts, machines: list[Machine]) -> list[Problem]:
    problems = []
    need = sum(machine.memory_mib for machine in machines) + MARGIN_MIB
    if machines and facts.memory_mib < need:
        wanted = f"{need} MiB for {len(machines)} machines"
        fix = "lower memory_gib in the inventory, use fewer hosts, or --backend lxc"
        problems.append(Problem("free memory", f"{facts.memory_mib} MiB", wanted, fix))
    if not facts.kvm:
        fix = "switch virtualisation on in the firmware; inside a virtual machine: nested virtualisation"
        problems.append(Problem("/dev/kvm", "missing", "hardware virtualisation", fix))
    if not facts.iso:
        problems.append(
            Problem("ISO writer", "not found", "xorriso or genisoimage", "apt-get install xorriso")
        )
    return problems


def _opens(device: Path) -> bool:
    """Whether the device is there and works; a permission that is missing is another matter."""
    try:
        device.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def iso_tool() -> tuple[str, ...]:
    """The program that writes ISO images. Raises `PreflightError` when there is none."""
    for tool in ISO_TOOLS:
        if shutil.which(tool[0]):
            return tool
    raise PreflightError("xorriso, genisoimage: not found", next_step="apt-get install xorriso")


def _routes(text: str) -> dict[str, str]:
    """Networks of `ip -4 route show` with their links."""
    found = {}
    for line in text.splitlines():
        words = line.split()
        if "/" in words[0] and "dev" in words:
            found[words[0]] = words[words.index("dev") + 1]
    return found


def _said(argv: list[str]) -> str:
    done = run(argv, timeout=60, check=False)
    return done.stdout
