"""Whether this machine can carry an LXC lab: facts are gathered, then judged; nothing is changed."""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lab.local import run
from lab.machines import Problem

# 16 machines with Kubernetes on them took 3.4 GB of memory and 4.2 GB of disk together (measured: Debian 12,
# Kubernetes 1.31, Flannel, MetalLB), 6 machines under 2 GB; the rest is room for pods and logs.
MEMORY_MIB = 350
DISK_MIB = 614
# systemd, kubelet, containerd and the pods' shims hold inotify instances, all of them root's; the default of
# 128 is used up by the second machine.
INOTIFY_INSTANCES = (128, 64)
INOTIFY_WATCHES = (8192, 4096)

PACKAGES = {
    "lxc-start": "lxc",
    "ip": "iproute2",
    "bridge": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
}
_LINKS = ("bridge", "veth", "vxlan")
_SECONDS = 20.0
_CAP_SYS_RESOURCE = 24  # linux/capability.h


@dataclass(frozen=True)
class HostFacts:
    """What this machine is and has. Memory and disk in MiB; `disk_folder` is where the lab would write.

    `cgroup` is "v2", "v1", "v1 without systemd" (no name=systemd hierarchy) or "none". A limit of inotify is
    None when it cannot be read, and then speaks against nothing.
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


def gather(home: Path) -> HostFacts:
    """Look at this machine. Kernel features are tried out, in namespaces that end with the attempt."""
    root = os.geteuid() == 0
    missing = tuple(command for command in PACKAGES if shutil.which(command) is None)
    folder = next(parent for parent in (home, *home.parents) if parent.is_dir())
    memory = Path("/proc/meminfo").read_text().split("MemAvailable:")[1].split()[0]
    return HostFacts(
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


def judge(facts: HostFacts, machines: int, *, off: int, absent: int) -> list[Problem]:
    """All reasons why a machine with these facts cannot carry a lab of so many machines.

    `off` of them do not run yet and will need memory, `absent` of them do not exist yet and will need disk.
    """
    problems = []
    if not facts.root:
        problems.append(
            Problem("user", "not root", "root: network namespaces, mounts, cgroups", "sudo -E invoke ...")
        )
    if facts.missing_commands:
        packages = " ".join(sorted({PACKAGES[command] for command in facts.missing_commands}))
        problems.append(
            Problem(
                "commands",
                f"not found: {', '.join(facts.missing_commands)}",
                "on the PATH",
                f"apt-get install --no-install-recommends {packages}",
            )
        )
    problems += [
        Problem(f"kernel feature {feature}", why, "available", f"modprobe {feature}, or a kernel that has it")
        for feature, _, why in (missing.partition(": ") for missing in facts.missing_features)
    ]
    if facts.cgroup not in ("v1", "v2"):
        folder = "/sys/fs/cgroup/systemd"
        fix = f"mkdir -p {folder} && mount -t cgroup -o none,name=systemd systemd {folder}"
        problems.append(
            Problem("cgroups", facts.cgroup, "version 2, or version 1 with a systemd hierarchy", fix)
        )
    if not facts.kmsg:
        problems.append(Problem("/dev/kmsg", "missing", "kubelet reads it", "mknod -m 600 /dev/kmsg c 1 11"))
    problems += _resources(facts, machines, off, absent)
    return problems


def _resources(facts: HostFacts, machines: int, off: int, absent: int) -> list[Problem]:
    disk = f"free disk at {facts.disk_folder}"
    problems = [
        Problem(subject, f"{seen} MiB", f"{each * count} MiB for {count} more machines", fix)
        for subject, seen, each, count, fix in (
            ("free memory", facts.memory_mib, MEMORY_MIB, off, "end other programs, or use fewer hosts"),
            (disk, facts.disk_mib, DISK_MIB, absent, "free some disk space, or use fewer hosts"),
        )
        if seen < each * count
    ]
    for key, seen, (fixed, each) in (
        ("fs.inotify.max_user_instances", facts.inotify_instances, INOTIFY_INSTANCES),
        ("fs.inotify.max_user_watches", facts.inotify_watches, INOTIFY_WATCHES),
    ):
        need = fixed + each * machines
        if seen is not None and seen < need:
            wanted = f"{need} for {machines} machines"
            problems.append(Problem(key, str(seen), wanted, f"sysctl -w {key}={need}"))
    return problems


def cgroup_kind(mounts: str) -> str:
    """Which cgroups the text of /proc/mounts shows; see `HostFacts.cgroup`."""
    rows = [line.split(" ") for line in mounts.splitlines()]
    options = [row[3].split(",") for row in rows if row[2] == "cgroup"]
    if any("freezer" in option for option in options):
        return "v1" if any("name=systemd" in option for option in options) else "v1 without systemd"
    return "v2" if any(row[2] == "cgroup2" for row in rows) else "none"


def oom_score_restricted(status: str | None = None) -> bool:
    """Whether root here may not lower oom_score_adj: no CAP_SYS_RESOURCE in the bounding set.

    `status` is the text of /proc/self/status. The bounding set is the same for root and for the user who only
    renders files, so both get the same answer.
    """
    text = Path("/proc/self/status").read_text() if status is None else status
    bounding = int(text.split("CapBnd:")[1].split()[0], 16)
    return not bounding >> _CAP_SYS_RESOURCE & 1


def _limit(name: str) -> int | None:
    limit = Path("/proc/sys/fs/inotify", name)
    return int(limit.read_text()) if limit.exists() else None


def _missing_features(folder: Path) -> tuple[str, ...]:
    """Kernel features that fail when tried: `name: reason`. A module that exists is loaded by trying."""
    tried = {kind: _try_link(kind) for kind in _LINKS} | {"overlay": _try_overlay(folder)}
    return tuple(f"{feature}: {why}" for feature, why in tried.items() if why)


def _try_link(kind: str) -> str:
    """Make a link of the kind in a network namespace that ends at once; "" or why it failed."""
    details = ["id", "1", "dstport", "4789"] if kind == "vxlan" else []
    argv = ["unshare", "--net", "ip", "link", "add", "name", "probe", "type", kind, *details]
    done = run(argv, timeout=_SECONDS, check=False)
    return "" if done.code == 0 else _first_line(done.stderr) or f"exit code {done.code}"


def _try_overlay(folder: Path) -> str:
    """Mount an overlay whose upper folder is on the lab's filesystem; "" or why it failed."""
    with tempfile.TemporaryDirectory(prefix=".plumbline-probe-", dir=folder) as scratch:
        parts = {name: Path(scratch, name) for name in ("lower", "upper", "work", "merged")}
        for part in parts.values():
            part.mkdir()
        options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
        mount = ["mount", "-t", "overlay", "-o", options, "overlay", str(parts["merged"])]
        done = run(["unshare", "--mount", *mount], timeout=_SECONDS, check=False)
    return "" if done.code == 0 else _first_line(done.stderr) or f"exit code {done.code}"


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
