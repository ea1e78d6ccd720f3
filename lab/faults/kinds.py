"""Faults: named, bounded, undoable damage to one lab."""

from __future__ import annotations

import subprocess
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from lab.errors import PreflightError
from lab.labs import Lab
from lab.providers.base import Power, State


class Fault(Protocol):
    """One damage. `seconds` bounds its life: it is healed after that, whatever else happens."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def seconds(self) -> float: ...

    def values(self) -> dict[str, Any]:
        """What makes it again: the arguments of its class."""

    def available(self, lab: Lab) -> None:
        """Raise `PreflightError` when this lab cannot have this fault right now. Changes nothing."""

    def inject(self, lab: Lab) -> None:
        """Do the damage."""

    def heal(self, lab: Lab) -> None:
        """Undo it; does nothing when there is nothing to undo."""


@dataclass(frozen=True)
class PowerOff:
    """A machine's plug is pulled; healing plugs it in again."""

    host: str
    seconds: float = 240.0

    @property
    def name(self) -> str:
        return "power-off"

    @property
    def title(self) -> str:
        return f"power-off of {self.host}"

    def values(self) -> dict[str, Any]:
        """Host and bound."""
        return asdict(self)

    def available(self, lab: Lab) -> None:
        """The machine exists and runs."""
        if self.host not in lab.inventory.hosts:
            raise PreflightError(f"{self.title}: no such host in the inventory", next_step="invoke status")
        state = lab.provider.state(self.host)
        if state is not State.RUNNING:
            raise PreflightError(f"{self.title}: the machine is {state.value}", next_step="invoke build")

    def inject(self, lab: Lab) -> None:
        """Pull the plug."""
        lab.provider.power(self.host, Power.OFF)
        self._forget(lab)

    def _forget(self, lab: Lab) -> None:
        """End the shared SSH connection to the dead machine: it would hang for ServerAlive's 15 s."""
        forget = ["ssh", "-F", str(lab.ssh.config), "-O", "exit", self.host]
        subprocess.run(forget, capture_output=True, check=False, timeout=10)

    def heal(self, lab: Lab) -> None:
        """Plug it in again, unless somebody already did."""
        if lab.provider.state(self.host) is State.OFF:
            lab.provider.power(self.host, Power.ON)


FAULTS: dict[str, type[PowerOff]] = {"power-off": PowerOff}


def fault_of(name: str, values: dict[str, Any]) -> Fault:
    """The fault of a note. Raises `PreflightError` for a name of another version."""
    if name not in FAULTS:
        raise PreflightError(f"fault {name}: not known; faults are {', '.join(FAULTS)}")
    return FAULTS[name](**values)
