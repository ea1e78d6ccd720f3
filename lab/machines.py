"""The small contract between the build and whatever makes machines.

A provider knows machines, power and how to reach them; it knows nothing of Kubernetes. Every method is
idempotent, and none touches a machine that does not carry the lab's mark.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path
from typing import Protocol

_CAP_SYS_RESOURCE = 24  # linux/capability.h


class State(StrEnum):
    """What a machine is doing."""

    ABSENT = "absent"
    OFF = "off"
    RUNNING = "running"
    PAUSED = "paused"
    FOREIGN = "foreign"
    """Something with the machine's name exists and does not carry the lab's mark."""


class Power(StrEnum):
    """What can be done to a machine's power. `OFF` is the plug pulled, never a shutdown."""

    ON = "on"
    OFF = "off"
    RESET = "reset"
    PAUSE = "pause"
    RESUME = "resume"


@dataclass(frozen=True)
class Volume:
    """A folder of the machine on a plain filesystem of its own.

    `seed` is a folder of the artefact store to start from (None: empty); files of it are shared by hard
    links, but those in `private` (paths relative to the seed) are copied, because they are written to.
    """

    path: str
    seed: Path | None = None
    private: tuple[str, ...] = ()


@dataclass(frozen=True)
class Machine:
    """One machine to make.

    `cloud_init` maps the file names of a NoCloud seed (user-data, meta-data, network-config; or vendor-data
    alone, by the provider's traits) to their text. `mac` is lower case with colons; `memory_mib` and `cpus`
    are limits where a provider has them.
    """

    name: str
    interface: IPv4Interface
    mac: str
    cpus: int
    memory_mib: int
    disk_gib: int
    cloud_init: Mapping[str, str]
    volumes: tuple[Volume, ...] = ()


@dataclass(frozen=True)
class Blocker:
    """One reason why this machine or provider cannot take the build: a line and the command that cures it."""

    subject: str
    seen: str
    wanted: str
    fix: str
    stops: bool = True
    """A warning does not stop a build."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.seen}; wanted: {self.wanted}; fix: {self.fix}"


@dataclass(frozen=True)
class Traits:
    """How a machine differs from a full one of its own network; the renderer decides by it."""

    shares_kernel: bool = False
    """Machines are containers: no modules, no swap of their own, host-wide sysctls are read-only."""
    oom_score_restricted: bool = False
    """The kernel refuses to lower oom_score_adj: no pod sandbox would start without containerd's switch."""
    layered: bool = False
    """Packages, programs and images lie below the machine's root; all other machines get them over SSH."""
    writes_seed: bool = False
    """The hypervisor writes name, login, keys and network itself and takes our vendor data beside them."""
    networks: tuple[IPv4Network, ...] = ()
    """Networks beside the inventory's from which the provider and people reach the machine by SSH."""
    management_mac: str = ""
    """MAC address of a card of the provider's own, which gets its address there by DHCP; "" for none."""


def oom_score_restricted(status: str | None = None) -> bool:
    """Whether root here may not lower oom_score_adj: no CAP_SYS_RESOURCE in the bounding set.

    `status` is the text of /proc/self/status. The bounding set is the same for root and for the user who only
    renders files, so both get the same answer.
    """
    text = Path("/proc/self/status").read_text() if status is None else status
    bounding = int(text.split("CapBnd:")[1].split()[0], 16)
    return not bounding >> _CAP_SYS_RESOURCE & 1


@dataclass(frozen=True)
class Leftovers:
    """What a provider still holds for a lab: names by kind (machine, namespace, mount, process, folder)."""

    items: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return any(self.items.values())


class Provider(Protocol):
    """Makes and breaks the machines of one lab."""

    def traits_of(self, name: str) -> Traits:
        """What this machine cannot do as a full one would."""

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        """All reasons not to start, at once; changes nothing.

        `machines` are those still to be made or started; volumes and cloud-init may be empty here.
        """

    def enter(self) -> None:
        """From here on this thread's sockets, and those of its later children, reach the lab's network.

        Raises `FailedError` when the lab has no network yet.
        """

    def prepare(self) -> bool:
        """Make what all machines share (network, switch). True when something was changed."""

    def create(self, machine: Machine) -> bool:
        """Make the machine, carry out its `changes`, and switch it on. True when something was done.

        Raises `PreflightError` for a machine of that name without the lab's mark.
        """

    def changes(self, machine: Machine) -> tuple[str, ...]:
        """What `create` would change on a machine that exists, a line each; seed and volumes do not count.

        Raises `PreflightError` for what cannot be changed, such as a disk that would shrink.
        """

    def remarks(self, machine: Machine) -> list[Blocker]:
        """What a person should know of a machine that exists and `create` leaves as it is; warnings alone."""

    def destroy(self, name: str) -> bool:
        """Remove the machine and all it holds. True when there was something to remove."""

    def clean(self) -> bool:
        """Remove all machines of the lab, then what they shared; also what a crashed run left half-made."""

    def leftovers(self) -> Leftovers:
        """What still exists for this lab, whoever made it half."""

    def machines(self) -> dict[str, State]:
        """State of every machine that carries the lab's mark, sorted by name."""

    def state(self, name: str) -> State: ...

    def power(self, name: str, action: Power) -> None: ...

    def console(self, name: str) -> str:
        """What the machine printed while it booted (may be empty)."""
