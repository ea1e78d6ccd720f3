"""Whether this machine can run a lab by Vagrant: facts are gathered, then judged; nothing is changed."""

from __future__ import annotations

import os
import re
import shutil
import stat
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from pathlib import Path

from lab.artifacts.rootfs import debian_key
from lab.artifacts.toolchain import host_arch
from lab.errors import PreflightError
from lab.local import run
from lab.machines import Blocker, Machine
from lab.providers.vagrant import virtualbox as vagrant_virtualbox
from lab.providers.vagrant.box import added_box, made_of
from lab.providers.vagrant.commands import VagrantCommands
from lab.providers.vagrant.config import LXC_BOX, NETWORKS
from lab.providers.vagrant.virtualbox import RANGES, numbers
from lab.render.roles import all_packages

OLDEST = (2, 3)
PLUGINS = {"libvirt": "vagrant-libvirt", "lxc": "vagrant-lxc"}
"""Backends that are plugins; VirtualBox is part of Vagrant."""
PROGRAMS = {"libvirt": ("libvirtd", "virtqemud"), "virtualbox": ("VBoxManage",)}
"""One of these is there when the backend is; what lxc needs is judged as for machines of our own."""
PACKAGES = {"libvirt": "libvirt-daemon-system", "virtualbox": "virtualbox"}
LXC_BEFORE = (2, 4)
"""vagrant-lxc 1.4.3, the last there is, calls what Ruby 3.2 and with it Vagrant 2.4 no longer has."""
MARGIN_MIB = 1024
ISO_TOOLS = (("xorriso", "-as", "mkisofs"), ("genisoimage",), ("mkisofs",))
LINKS = {"libvirt": "virbr", "virtualbox": "vboxnet"}
"""What the backends' own links are called here."""
DRIVERS = {"libvirt": Path("/dev/kvm"), "virtualbox": Path("/dev/vboxdrv")}
"""What the kernel shows once the backend's part of it is loaded."""
LOADING = {"libvirt": "modprobe kvm_intel or kvm_amd", "virtualbox": "/sbin/vboxconfig"}
ACL = "system.posix_acl_access"
"""The attribute of a folder on which somebody has set rights beyond the mode (acl(5))."""
SEARCH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"
"""Daemons lie where a user's path does not lead."""


@dataclass(frozen=True)
class LaptopFacts:
    """What this machine has. `ranges` is the text of VirtualBox's file, None without it; `misspelt` whether
    the file stands under the name that a well-known answer gives it; `routes` are the networks of this
    machine's links by their names; `closed` is the folder on the way to the seeds that other users cannot
    pass, "" when there is none; `box` is whether Vagrant has the lxc backend's box as it is packed now."""

    vagrant: str
    plugins: tuple[str, ...]
    program: bool
    ranges: str | None
    misspelt: bool
    routes: dict[str, str]
    memory_mib: int
    virtualisation: bool
    driver: bool
    virtualbox: str
    closed: str
    iso: bool
    box: bool


def gather(backend: str, folder: Path, ranges: Path = RANGES) -> LaptopFacts:
    """Look at this machine; `folder` is where the lab's seeds will lie."""
    there = shutil.which("vagrant") is not None
    version = _said(["vagrant", "--version"]) if there else ""
    memory = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    return LaptopFacts(
        vagrant=version.rpartition(" ")[2].strip(),
        plugins=tuple(item.name for item in VagrantCommands().plugin_list()) if there else (),
        program=any(shutil.which(name, path=SEARCH) for name in PROGRAMS.get(backend, ())),
        ranges=ranges.read_text() if ranges.exists() else None,
        misspelt=ranges.with_name("network.conf").exists(),
        routes=_routes(_said(["ip", "-4", "route", "show"])),
        memory_mib=int(memory) // 1024,
        virtualisation=bool(re.search(r"^flags.* (vmx|svm)\b", Path("/proc/cpuinfo").read_text(), re.M)),
        driver=backend in DRIVERS and _opens(DRIVERS[backend]),
        # warnings come before the version
        virtualbox=_said(["VBoxManage", "--version"]).strip().rpartition("\n")[2]
        if shutil.which("VBoxManage")
        else "",
        closed=closed(folder),
        iso=any(shutil.which(tool[0]) for tool in ISO_TOOLS),
        box=backend == "lxc" and added_box() == made_of(debian_key(all_packages(), host_arch()).slug),
    )


def judge(facts: LaptopFacts, backend: str, machines: list[Machine]) -> list[Blocker]:
    """All reasons why these machines cannot be made here by this backend."""
    if not facts.vagrant:
        return [Blocker("vagrant", "not found", "on the PATH", "apt-get install vagrant")]
    problems = _versions(facts, backend)
    if backend == "virtualbox":
        problems += vagrant_virtualbox.fits(facts.vagrant, facts.virtualbox)
        addresses = [machine.interface.ip for machine in machines]
        problems += vagrant_virtualbox.allowed(facts.ranges, addresses, misspelt=facts.misspelt)
    if backend in NETWORKS and machines:
        problems += _clash(facts, backend, machines[0].interface.network)
    if backend == "libvirt" and facts.closed:
        fix = f"chmod o+x {facts.closed}, or move the checkout"
        problems.append(Blocker(facts.closed, "closed to others", "a way to the seeds for libvirt", fix))
    if backend != "lxc":
        problems += _full_machines(facts, backend, machines)
    return problems


def _versions(facts: LaptopFacts, backend: str) -> list[Blocker]:
    version = numbers(facts.vagrant)
    problems = []
    if backend in PROGRAMS and not facts.program:
        names = " or ".join(PROGRAMS[backend])
        fix = f"install {backend} (Debian: apt-get install {PACKAGES[backend]})"
        problems.append(Blocker(backend, f"no {names}", "installed", fix))
    if version < OLDEST:
        problems.append(Blocker("vagrant", facts.vagrant, "2.3 or later", "upgrade Vagrant"))
    plugin = PLUGINS.get(backend)
    if plugin and plugin not in facts.plugins:
        problems.append(
            Blocker("vagrant plugin", f"no {plugin}", "installed", f"vagrant plugin install {plugin}")
        )
    if backend == "lxc" and version >= LXC_BEFORE:
        rule = "2.3, the last that vagrant-lxc works with"
        problems.append(Blocker("vagrant", facts.vagrant, rule, "use --backend libvirt or virtualbox"))
    if backend == "lxc" and not facts.box:
        rule = "added, and packed from the root filesystem that machines have now"
        problems.append(Blocker("vagrant box", f"no such {LXC_BOX}", rule, "invoke vagrant.box"))
    return problems


def _clash(facts: LaptopFacts, backend: str, lan: IPv4Network) -> list[Blocker]:
    """Networks that the lab's would overlap: both backends refuse to start it beside one of this machine's,
    and a machine with two cards in the same network answers by the wrong one."""
    own, links = NETWORKS[backend], LINKS[backend]
    problems = [
        Blocker(
            "network", f"{route} is on {link}", f"{lan} free", f"take another network.lan, or remove {link}"
        )
        for route, link in facts.routes.items()
        if ip_network(route).overlaps(lan) and not link.startswith(links)
    ]
    if ip_network(own).overlaps(lan):
        seen = f"{own} is where Vagrant reaches machines of {backend}"
        problems.append(Blocker("network", seen, f"{lan} free", "take another network.lan"))
    return problems


def closed(folder: Path) -> str:
    """The first folder on the way to `folder` that other users cannot pass, "" when there is none.

    libvirt runs machines as a user of its own, and hands it the seed but not the way to it. A folder with
    rights beyond its mode is taken for one that somebody has opened.
    """
    for step in (*reversed(folder.parents), folder):
        if not step.exists():
            break
        if not step.stat().st_mode & stat.S_IXOTH and ACL not in _attributes(step):
            return str(step)
    return ""


def _attributes(folder: Path) -> list[str]:
    try:
        return os.listxattr(folder)
    except OSError:  # a filesystem that knows none
        return []


def _full_machines(facts: LaptopFacts, backend: str, machines: list[Machine]) -> list[Blocker]:
    problems = []
    need = sum(machine.memory_mib for machine in machines) + MARGIN_MIB
    if machines and facts.memory_mib < need:
        wanted = f"{need} MiB for {len(machines)} machines"
        fix = "lower memory_gib in the inventory, use fewer hosts, or --backend lxc"
        problems.append(Blocker("free memory", f"{facts.memory_mib} MiB", wanted, fix))
    # a /dev/kvm that opens works, whatever the processor's flags say
    if not facts.virtualisation and not (backend == "libvirt" and facts.driver):
        fix = "switch virtualisation on in the firmware; inside a virtual machine: nested virtualisation"
        problems.append(Blocker("processor", "neither vmx nor svm", "hardware virtualisation", fix))
    elif facts.program and not facts.driver:
        problems.append(Blocker(str(DRIVERS[backend]), "missing", f"{backend}'s driver", LOADING[backend]))
    if not facts.iso:
        problems.append(
            Blocker("ISO writer", "not found", "xorriso or genisoimage", "apt-get install xorriso")
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
