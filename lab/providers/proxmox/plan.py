"""What differs between a machine of Proxmox VE and the inventory, and the next thing to do about it; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lab.errors import PreflightError
from lab.machines import Machine
from lab.providers.proxmox.fleet import FleetRow
from lab.providers.proxmox.mark import ProxmoxMark, tags

DISK = "scsi0"
SETTINGS = ("cores", "memory", "net0", "onboot", "tags", "description")
"""What a build changes on a machine that exists. The cloud-init fields count at its first boot alone: any
change of them would be a new instance, and everything of the first boot would run again on a live node."""
NEED_POWER_CYCLE = frozenset({"cores", "memory"})
"""Taken over when the machine is next switched off and on (no hot-plugging of processors and memory)."""
_UNITS = {"": 1 / 1024**3, "K": 1 / 1024**2, "M": 1 / 1024, "G": 1, "T": 1024}


class MachineStep(StrEnum):
    """The next thing to do about one machine."""

    CLONE = "clone"
    WAIT = "wait for its lock"
    DISCARD = "remove what a failed clone left"
    CONFIGURE = "configure"
    SNIPPET = "write its snippet where it is now"
    GROW = "grow the disk"
    PROTECT = "add to high availability"
    START = "start"
    RESUME = "resume"
    DONE = "done"


@dataclass(frozen=True)
class Seen:
    """A machine as it is: its row, its configuration, whether the HA manager has it (None: not asked for).

    `snippet`: whether its snippet is on the node where it is; None where that needs no look.
    """

    row: FleetRow
    config: Mapping[str, Any]
    protected: bool | None = None
    snippet: bool | None = None

    @property
    def configured(self) -> bool:
        """Whether its one configuration call has been carried out: fields of the first boot are there."""
        return "ipconfig0" in self.config


def next_step(machine: Machine, wanted: Mapping[str, Any], seen: Seen | None) -> MachineStep:
    """What brings the machine nearer to what it shall be, judged by nothing but what it is."""
    if seen is None:
        return MachineStep.CLONE
    if seen.row.lock or seen.config.get("lock"):
        return MachineStep.WAIT
    if DISK not in seen.config:
        return MachineStep.DISCARD
    if not seen.configured or differences(wanted, seen.config):
        return MachineStep.CONFIGURE
    if seen.snippet is False:
        return MachineStep.SNIPPET
    if disk_gib(seen.config) < machine.disk_gib:
        return MachineStep.GROW
    if seen.protected is False:
        return MachineStep.PROTECT
    if seen.row.status == "paused":
        return MachineStep.RESUME
    return MachineStep.DONE if seen.row.status == "running" else MachineStep.START


def differences(wanted: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Settings that differ: what is, and what shall be, by key."""
    return {
        key: (str(config.get(key, "")), str(wanted[key]))
        for key in SETTINGS
        if key in wanted and _plain(key, wanted[key]) != _plain(key, config.get(key))
    }


def sentences(machine: Machine, wanted: Mapping[str, Any], seen: Seen) -> tuple[str, ...]:
    """What a build would change on a machine that exists, a line each.

    Raises `PreflightError` for a disk that is larger than the inventory says: disks never shrink.
    """
    found = []
    for key, (before, after) in differences(wanted, seen.config).items():
        when = ""
        if key in NEED_POWER_CYCLE and seen.row.status != "stopped":
            when = "; it takes effect when the machine is next switched off and on"
        if key == "description":
            before, after = "without our line", after.splitlines()[0]
        found.append(f"{key}: {before or 'unset'} -> {after}{when}")
    has = disk_gib(seen.config)
    if DISK in seen.config and has > machine.disk_gib:
        raise PreflightError(
            f"hosts.{machine.name}.disk_gib: {machine.disk_gib}: the machine's disk has {has:g} GiB, and a "
            "disk never shrinks",
            next_step=f"write disk_gib: {has:g}, or make it anew: invoke destroy --host {machine.name}",
        )
    if has < machine.disk_gib:
        found.append(f"disk: {has:g} GiB -> {machine.disk_gib} GiB; the file system follows at the next boot")
    if seen.snippet is False:
        found.append(f"snippet: not on {seen.row.node} -> written there; the machine does not start without")
    if seen.protected is False:
        found.append("add to high availability")
    return tuple(found)


def configuration(wanted: Mapping[str, Any], seen: Seen, mark: ProxmoxMark) -> dict[str, Any]:
    """Parameters of the one call that configures: everything for a new clone, the differences later.

    With the digest of what was read: somebody else's change in between is an error, not overwritten.
    """
    full = {**wanted, "description": mark.within(seen.config.get("description"))}
    chosen = full if not seen.configured else {key: full[key] for key in differences(full, seen.config)}
    return {**chosen, "digest": seen.config["digest"]}


def disk_gib(config: Mapping[str, Any]) -> float:
    """Size of the system disk in GiB; 0 when the configuration names none."""
    found = re.search(r"\bsize=([0-9.]+)([KMGT]?)", str(config.get(DISK, "")))
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


def _plain(key: str, value: Any) -> object:
    """A value as what it means: order, case and separators of the two spellings differ."""
    text = str(value if value is not None else "").strip()
    if key == "tags":
        return tags(text)
    if key == "net0":
        return frozenset(text.lower().split(","))
    if key == "description":
        return frozenset(line for line in text.splitlines() if line.startswith("plumbline "))
    return text
