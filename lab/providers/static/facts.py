"""What a machine that exists already is, and whether it can be a part of the lab; nothing is changed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lab.artifacts.toolchain import MACHINE
from lab.errors import DeadlineError, FailedError
from lab.hosts.facts import HostSections, System, ask
from lab.inventory.hardware import is_raspberry_pi
from lab.inventory.models import Host
from lab.machines import Blocker, Traits, oom_score_restricted
from lab.ssh import Ssh

MARK = "/var/lib/plumbline/lab"
"""Holds the name of the lab that has taken the machine."""
KERNEL = (4, 19)
"""Oldest kernel that kubeadm's own check of the system takes (k8s.io/system-validators 1.8)."""
PAGE = 4096
"""Larger pages end many images at their start (raspberrypi/bookworm-feedback#107)."""
CLOCK_SECONDS = 60.0
"""Certificates are valid from the moment they are made; chrony, a role's, does the rest."""
SHARE = 0.85
"""What firmware, kernel and the units of card makers leave of a machine's memory and disk."""
SWITCH_ON = "switch it on, connect it, and check its address; a new Raspberry Pi: invoke seed"
FREE_MIB = 4096
"""Programs and images take 2 GiB, and as much again while they are unpacked."""


@dataclass(frozen=True)
class Existing:
    """Facts of one machine; without them `reason` says why, and `cure` what to do about it."""

    facts: HostSections | None
    clock_offset: float = 0.0
    reason: str = ""
    cure: str = ""

    @property
    def silent(self) -> bool:
        """Whether nothing answered at all: most likely it is switched off."""
        return self.cure == SWITCH_ON

    @property
    def mark(self) -> str:
        """The lab that the machine belongs to, "" for none."""
        return (self.facts and self.facts.texts[MARK]) or ""

    @property
    def traits(self) -> Traits:
        """A container says so itself; a machine that could not be asked is taken for a full one."""
        if not self.facts or not self.facts.system.container:
            return Traits()
        restricted = oom_score_restricted(self.facts.system.status)
        return Traits(shares_kernel=True, oom_score_restricted=restricted)


def look(ssh: Ssh, name: str, evidence: Sequence[str], public_key: str) -> Existing:
    """Facts of a machine in one round trip; one that cannot be asked is a fact as well.

    `evidence` are paths whose existence tells that the machine is a part of something already.
    """
    sections = ["system", "disks", "files", "texts"]
    request = {"sections": sections, "files": list(evidence), "owned": [], "texts": [MARK]}
    try:
        found = HostSections(name, ask(ssh, name, request, seconds=20))
    except (FailedError, DeadlineError) as error:
        reason = " ".join(line.strip() for line in str(error).splitlines()).strip()
        return Existing(None, reason=reason, cure=_cure(reason, public_key))
    try:
        for section in sections:
            getattr(found, section)
    except FailedError as error:
        reason = error.message.removeprefix(f"{name}: ")
        return Existing(None, reason=reason, cure="mend that on the machine")
    return Existing(found, found.system.clock - time.time())


def _cure(reason: str, public_key: str) -> str:
    if "Permission denied" in reason:
        return f"append to ~/.ssh/authorized_keys of that login: {public_key}"
    if "Host key verification failed" in reason or "HOST IDENTIFICATION HAS CHANGED" in reason:
        return "write the machine's own key into its host_key (ssh-keyscan -t ed25519 ADDRESS, then compare)"
    if "sudo" in reason:
        return "give that login sudo without a password"
    if "python3" in reason:
        return "apt-get install python3 on the machine"
    return SWITCH_ON


def judge(name: str, host: Host, lab: str, found: Existing) -> list[Blocker]:
    """All reasons why this machine cannot be what the inventory says."""
    if found.facts is None:
        return [Blocker(name, found.reason, "SSH with sudo, by our key", found.cure)]
    if found.mark not in ("", lab):
        fix = f"invoke destroy of that lab, or remove {MARK} on the machine"
        return [Blocker(name, f"belongs to lab {found.mark}", f"nobody's, or {lab}'s", fix)]
    return [
        Blocker(f"{name}: {subject}", seen, wanted, fix)
        for subject, seen, wanted, fix in (
            *_nature(name, host, found, found.facts),
            *_kernel(host, found.facts.system, found.traits),
            *_size(host, found.facts, taken=bool(found.mark)),
        )
    ]


Finding = tuple[str, str, str, str]


def _nature(name: str, host: Host, found: Existing, facts: HostSections) -> Iterator[Finding]:
    system = facts.system
    if system.os != host.os:
        yield "operating system", system.os, host.os, "install that one, or correct os in the inventory"
    if system.machine != MACHINE[host.arch]:
        yield "architecture", system.machine, MACHINE[host.arch], "correct arch in the inventory"
    if system.hostname != name:
        yield "host name", system.hostname, name, f"hostnamectl set-hostname {name}"
    if abs(found.clock_offset) > CLOCK_SECONDS:
        off = f"{found.clock_offset:+.0f} s against ours"
        yield "clock", off, f"within {CLOCK_SECONDS:g} s", "timedatectl set-ntp true"
    strange = [path for path, file in facts.files.items() if file] if not found.mark else []
    if strange:
        seen = f"{', '.join(strange)}: a part of something already, and not of this lab"
        yield "use", seen, "a machine without Kubernetes", "kubeadm reset, and remove these files"


def _kernel(host: Host, system: System, traits: Traits) -> Iterator[Finding]:
    version = tuple(int(part) for part in re.findall(r"\d+", system.kernel)[:2])
    if version < KERNEL:
        yield "kernel", system.kernel, f"{'.'.join(map(str, KERNEL))} or newer", "upgrade the machine"
    if system.page_size != PAGE:
        fix = "boot the kernel with 4 KiB pages (Raspberry Pi OS: kernel=kernel8.img in config.txt)"
        yield "page size", str(system.page_size), str(PAGE), fix
    if traits.shares_kernel:
        return  # swap and cgroups are those of its host
    if system.swap:
        yield "swap", system.swap[0].split()[0], "none", "swapoff --all, and take it out of /etc/fstab"
    if system.cgroup != "cgroup2fs":
        yield "cgroups", system.cgroup, "version 2", "boot with systemd.unified_cgroup_hierarchy=1"
    elif "memory" not in system.controllers:
        fix = "add it to the boot options"
        if is_raspberry_pi(host):
            fix = "add cgroup_enable=memory to /boot/firmware/cmdline.txt (invoke seed does), and reboot"
        yield "memory controller", "off", "at work in cgroup v2", fix


def _size(host: Host, facts: HostSections, *, taken: bool) -> Iterator[Finding]:
    system, disk = facts.system, facts.disks.filesystems["/"]
    if system.cpus < host.cpus:
        yield "CPUs", str(system.cpus), str(host.cpus), "correct cpus in the inventory"
    memory = system.memory_kib / 2**20
    if memory < host.memory_gib * SHARE:
        yield "memory", f"{memory:.1f} GiB", f"{host.memory_gib} GiB", "correct memory_gib in the inventory"
    total = disk.total / 2**30
    if total < host.disk_gib * SHARE:
        fix = "let / fill its disk (growpart, resize2fs), or correct disk_gib"
        yield "disk", f"{total:.0f} GiB", f"{host.disk_gib} GiB", fix
    if not taken and disk.free < FREE_MIB * 2**20:
        yield "free disk", f"{disk.free // 2**20} MiB", f"{FREE_MIB} MiB", "free some space on /"
