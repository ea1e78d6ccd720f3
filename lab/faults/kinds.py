"""Faults: named, bounded, undoable damage to one lab.

A kind knows what it does to a host and how that is undone; a fault is a kind, a host and a bound in seconds.
Healing is idempotent and needs these three alone: the journal (`lab.damage`) keeps no more of a crashed run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from lab.errors import PreflightError
from lab.inventory.models import HostRole
from lab.labs import Lab
from lab.machines import State

BALANCER = (HostRole.LOAD_BALANCER,)
MASTERS = (HostRole.CONTROL_PLANE,)
WORKERS = (HostRole.WORKER,)
NODES = MASTERS + WORKERS
ANY = BALANCER + NODES


@dataclass(frozen=True)
class Kind(ABC):
    """One way to damage a host.

    `roles` are the hosts it can hit; `seconds` is its bound unless somebody gives another: it is healed after
    that, whatever else happens. A kind that is over at once (a kill, a reload) has a bound all the same: the
    time in which its effect is watched.
    """

    name: str
    meaning: str
    roles: tuple[HostRole, ...]
    seconds: float

    def unavailable(self, lab: Lab, host: str) -> str:
        """Why this host cannot have it, "" when it can. May look at the host; changes nothing."""
        return ""

    @abstractmethod
    def inject(self, lab: Lab, host: str, seconds: float) -> None:
        """Do the damage."""

    @abstractmethod
    def heal(self, lab: Lab, host: str, seconds: float) -> None:
        """Undo it; idempotent: does nothing when there is nothing to undo."""


@dataclass(frozen=True)
class Fault:
    """One damage to one host."""

    kind: Kind
    host: str
    seconds: float

    @property
    def title(self) -> str:
        """What is broken, for messages and pictures."""
        return f"{self.kind.name} of {self.host}"

    def available(self, lab: Lab) -> None:
        """Raise `PreflightError` when this lab cannot have this fault right now. Changes nothing."""
        host = lab.inventory.hosts.get(self.host)
        if host is None:
            raise PreflightError(f"{self.title}: no such host in the inventory", next_step="invoke status")
        if host.role not in self.kind.roles:
            wanted = ", ".join(role.value for role in self.kind.roles)
            raise PreflightError(
                f"{self.title}: its role is {host.role.value}; this fault is for {wanted}",
                next_step="invoke faults",
            )
        state = lab.provider.state(self.host)
        if state is not State.RUNNING:
            raise PreflightError(f"{self.title}: the machine is {state.value}", next_step="invoke build")
        reason = self.kind.unavailable(lab, self.host)
        if reason:
            raise PreflightError(f"{self.title}: not available here: {reason}", next_step="invoke faults")

    def inject(self, lab: Lab) -> None:
        """Do the damage."""
        self.kind.inject(lab, self.host, self.seconds)

    def heal(self, lab: Lab) -> None:
        """Undo it; idempotent: does nothing when there is nothing to undo."""
        self.kind.heal(lab, self.host, self.seconds)
