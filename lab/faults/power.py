"""Power faults: power is cut, the machine is reset or paused."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.faults.kinds import ANY, MASTERS, Kind
from lab.labs import Lab
from lab.machines import Power, State
from lab.ssh import forget

FLAPS = 6
FLAP_SECONDS = 5.0
"""Row L4-21: six times five seconds off, five seconds on."""


class PowerKind(Kind):
    """Something done to the power of one machine or several; healing switches all of them on again."""

    def victims(self, lab: Lab, host: str) -> Sequence[str]:
        """The machines it hits when it is asked for `host`."""
        return (host,)

    def inject(self, lab: Lab, host: str, seconds: float) -> None:
        """Cut the power of all victims at the same time, without a shutdown."""
        self._all(lab, host, Power.OFF)

    def _all(self, lab: Lab, host: str, action: Power) -> None:
        victims = self.victims(lab, host)
        with ThreadPoolExecutor(len(victims)) as pool:
            list(pool.map(lambda name: lab.provider.power(name, action), victims))
        for name in victims:
            forget(lab.ssh, name)

    def heal(self, lab: Lab, host: str, seconds: float) -> None:
        """Switch on what is off, resume what is paused; idempotent."""
        actions = {State.OFF: Power.ON, State.PAUSED: Power.RESUME}
        for name in self.victims(lab, host):
            action = actions.get(lab.provider.state(name))
            if action:
                lab.provider.power(name, action)


class Reset(PowerKind):
    """A hardware reset."""

    def inject(self, lab: Lab, host: str, seconds: float) -> None:
        """Reset the machine."""
        self._all(lab, host, Power.RESET)


class Freeze(PowerKind):
    """The machine is paused, as under a hypervisor that has no time for it, and resumed later."""

    def inject(self, lab: Lab, host: str, seconds: float) -> None:
        """Pause the machine."""
        self._all(lab, host, Power.PAUSE)


class Flap(PowerKind):
    """On and off, again and again; it ends switched on."""

    def inject(self, lab: Lab, host: str, seconds: float) -> None:
        """Takes a minute: the damage is the series."""
        for _ in range(FLAPS):
            self._all(lab, host, Power.OFF)
            time.sleep(FLAP_SECONDS)
            lab.provider.power(host, Power.ON)
            time.sleep(FLAP_SECONDS)


class TwoMasters(PowerKind):
    """The named master and the next one: etcd loses its quorum (two of three)."""

    def victims(self, lab: Lab, host: str) -> Sequence[str]:
        """The named master, and the one that follows it in the inventory."""
        masters = lab.inventory.masters
        return host, masters[(masters.index(host) + 1) % len(masters)]


class Everything(PowerKind):
    """A power cut that hits every machine at once: the cluster starts cold."""

    def victims(self, lab: Lab, host: str) -> Sequence[str]:
        """Every machine, whichever was named."""
        return tuple(lab.inventory.hosts)


KINDS: tuple[Kind, ...] = (
    PowerKind("power-off", "the plug is pulled, and put in again at the end", ANY, 240),
    Reset("power-reset", "the reset button is pressed", ANY, 60),
    Freeze("freeze", "the machine stands still and goes on at the end", ANY, 60),
    Flap("flap", f"{FLAPS} times {FLAP_SECONDS:g} s off and {FLAP_SECONDS:g} s on", MASTERS, 120),
    TwoMasters("two-masters-off", "the plugs of this master and the next are pulled", MASTERS, 240),
    Everything("all-off", "the plugs of all machines are pulled", ANY, 120),
)
