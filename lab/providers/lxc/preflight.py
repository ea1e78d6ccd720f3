"""Whether this machine can carry an LXC lab: facts are gathered, then judged; nothing is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.local import run
from lab.machines import Blocker
from lab.providers.lxc.seeds import SEEDS

# 16 machines with Kubernetes on them took 3.4 GB of memory and 4.2 GB of disk together (measured: Debian 12,
# Kubernetes 1.31, Flannel, MetalLB), 6 machines under 2 GB; the rest is room for pods and logs.
MEMORY_MIB = 350
DISK_MIB = 614
# systemd, kubelet, containerd and the pods' shims hold inotify instances, all of them root's; the default of
# 128 is used up by the second machine.
INOTIFY = "/proc/sys/fs/inotify"
INOTIFY_INSTANCES = (128, 64)
INOTIFY_WATCHES = (8192, 4096)

PACKAGES = {
    "lxc-start": "lxc",
    "ip": "iproute2",
    "bridge": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "nft": "nftables",
    "iptables-nft": "iptables",
}
MODULES = Path(__file__).resolve().parents[3] / "artifacts" / "modules.txt"
IMAGES_MIB = 1800
"""The image store that every node starts from (measured: 1763 MiB). Where it lies on another file system, a
lab has a copy of its own, for all its nodes together."""
_SECONDS = 20.0


@dataclass(frozen=True)
class LocalFacts:
    """What this machine is and has. Memory and disk in MiB; `disk_folder` is where the lab would write.

    `cgroup` is "v2", "v1", "v1 without systemd" (no name=systemd hierarchy) or "none". A limit of inotify is
    None when it cannot be read; that is a warning and stops nobody.
    """

    root: bool
    missing_commands: tuple[str, ...]
    missing_features: tuple[str, ...]
    cgroup: str
    kmsg: bool
    memory_mib: int
    disk_mib: int
    disk_folder: str
    inotify_instances: int | None
    inotify_watches: int | None


def gather(home: Path) -> LocalFacts:
    """Look at this machine. Kernel features are tried out, in namespaces that end with the attempt."""
    root = os.geteuid() == 0
    missing = tuple(command for command in PACKAGES if shutil.which(command) is None)
    folder = _existing(home)
    memory = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    return LocalFacts(
        root=root,
        missing_commands=missing,
        missing_features=_missing_features(folder) if root and not missing else (),
        cgroup=cgroup_kind(Path("/proc/mounts").read_text()),
        kmsg=Path("/dev/kmsg").exists(),
        memory_mib=int(memory) // 1024,
        disk_mib=shutil.disk_usage(folder).free // 2**20,
        disk_folder=str(folder),
        inotify_instances=_limit("max_user_instances"),
        inotify_watches=_limit("max_user_watches"),
    )


def judge(facts: LocalFacts, machines: int, *, off: int, absent: int, copied_mib: int = 0) -> list[Blocker]:
    """All reasons why a machine with these facts cannot carry a lab of so many machines.

    `off` of them do not run yet and will need memory, `absent` of them do not exist yet and will need disk;
    `copied_mib` is what all of them together will have copied.
    """
    problems = []
    if not facts.root:
        problems.append(
            Blocker("user", "not root", "root: network namespaces, mounts, cgroups", "sudo -E invoke ...")
        )
    if facts.missing_commands:
        packages = " ".join(sorted({PACKAGES[command] for command in facts.missing_commands}))
        problems.append(
            Blocker(
                "commands",
                f"not found: {', '.join(facts.missing_commands)}",
                "on the PATH",
                f"apt-get install --no-install-recommends {packages}",
            )
        )
    problems += [
        Blocker(
            f"kernel module {feature}",
            why,
            "loaded, or built into the kernel",
            f"make limits, or modprobe {feature}; after an update of the kernel: reboot",
        )
        for feature, _, why in (missing.partition(": ") for missing in facts.missing_features)
    ]
    if facts.cgroup not in ("v1", "v2"):
        folder = "/sys/fs/cgroup/systemd"
        fix = f"mkdir -p {folder} && mount -t cgroup -o none,name=systemd systemd {folder}"
        problems.append(
            Blocker("cgroups", facts.cgroup, "version 2, or version 1 with a systemd hierarchy", fix)
        )
    if not facts.kmsg:
        problems.append(Blocker("/dev/kmsg", "missing", "kubelet reads it", "mknod -m 600 /dev/kmsg c 1 11"))
    problems += _resources(facts, machines, off, absent, copied_mib)
    return problems


def _resources(facts: LocalFacts, machines: int, off: int, absent: int, copied_mib: int) -> list[Blocker]:
    problems = []
    if facts.memory_mib < MEMORY_MIB * off:
        wanted = f"{MEMORY_MIB * off} MiB for {off} more machines"
        fix = "end other programs, or use fewer hosts"
        problems.append(Blocker("free memory", f"{facts.memory_mib} MiB", wanted, fix))
    if absent and facts.disk_mib < DISK_MIB * absent + copied_mib:
        wanted = f"{DISK_MIB * absent + copied_mib} MiB for {absent} more machines"
        fix = "free some disk space, or use fewer hosts"
        if copied_mib:
            wanted += f", {copied_mib} MiB of it for images, which lie on another file system"
            fix += "; with PLUMBLINE_CACHE on this file system nothing is copied"
        subject = f"free disk at {facts.disk_folder}"
        problems.append(Blocker(subject, f"{facts.disk_mib} MiB", wanted, fix))
    for key, seen, (fixed, each) in (
        ("fs.inotify.max_user_instances", facts.inotify_instances, INOTIFY_INSTANCES),
        ("fs.inotify.max_user_watches", facts.inotify_watches, INOTIFY_WATCHES),
    ):
        need = fixed + each * machines
        wanted = f"{need} for {machines} machines"
        if seen is None:
            fix = f"look where you may: sysctl {key}"
            problems.append(Blocker(key, "could not be read", wanted, fix, stops=False))
        elif seen < need:
            problems.append(Blocker(key, str(seen), wanted, f"sysctl -w {key}={need}"))
    return problems


def copied_mib(home: Path, cache: Path) -> int:
    """MiB of images that a lab in `home` has still to copy: the store `cache` is on another file system."""
    if (home / SEEDS).is_dir() or _existing(home).stat().st_dev == _existing(cache).stat().st_dev:
        return 0
    return IMAGES_MIB


def _existing(folder: Path) -> Path:
    # unlike Path.is_dir, which raises for a name that is too long
    return next(parent for parent in (folder, *folder.parents) if os.path.isdir(parent))  # noqa: PTH112


def cgroup_kind(mounts: str) -> str:
    """Which cgroups the text of /proc/mounts shows; see `HostFacts.cgroup`."""
    rows = [line.split(" ") for line in mounts.splitlines()]
    options = [row[3].split(",") for row in rows if row[2] == "cgroup"]
    if any("freezer" in option for option in options):
        return "v1" if any("name=systemd" in option for option in options) else "v1 without systemd"
    return "v2" if any(row[2] == "cgroup2" for row in rows) else "none"


def _limit(name: str) -> int | None:
    try:
        return int(Path(INOTIFY, name).read_text())
    except (OSError, ValueError):
        return None


def _missing_features(folder: Path) -> tuple[str, ...]:
    """Kernel modules whose effect is missing: `name: reason`. Most modules are loaded by trying.

    Their list may say nothing: what is built in is not on it. Each command has namespaces of its own, and an
    empty folder on the lab's file system as its working folder.
    """
    found = []
    for module, command in modules().items():
        with tempfile.TemporaryDirectory(prefix=".plumbline-probe-", dir=folder) as scratch:
            for part in ("lower", "upper", "work", "merged"):
                Path(scratch, part).mkdir()
            inside = ["sh", "-c", f'cd "$0" && {command}', scratch]
            done = run(["unshare", "--net", "--mount", *inside], timeout=_SECONDS, check=False)
        if done.code:
            found.append(f"{module}: {_first_line(done.stderr) or f'`{command}` fails'}")
    return tuple(found)


def modules() -> Mapping[str, str]:
    """The command that works if the kernel has what a module brings, by the module's name."""
    lines = [line.partition(" ") for line in MODULES.read_text().splitlines()]
    return {name: command.strip() for name, _, command in lines if command and not name.startswith("#")}


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
