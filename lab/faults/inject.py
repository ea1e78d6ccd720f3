"""Injecting one fault: refused where it must not be, healed whatever happens, health on both sides."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lab.damage import Damage, Journal
from lab.errors import PlumblineError, PreflightError
from lab.faults.kinds import Fault
from lab.labs import Lab

log = logging.getLogger("plumbline")


@dataclass
class LiveFault:
    """A live fault; `began` is when it was injected, in seconds of the monotonic clock."""

    fault: Fault
    began: float
    healed: float | None = None
    over: threading.Event = field(default_factory=threading.Event)
    """Set as soon as it is healed, by its block's end or by its bound."""


def _note(lab: Lab, fault: Fault) -> Damage:
    """Note a fault before it is injected. Raises `PreflightError` when one is live already."""
    journal = Journal(lab)
    live = [entry for entry in journal.entries() if not entry.repair]
    if live:
        raise PreflightError(
            f"lab {lab.inventory.lab}: fault {live[0].told}",
            next_step="invoke status (it heals what a crashed run left)",
        )
    entry = Damage(fault.kind.name, fault.host, seconds=fault.seconds)
    journal.add(entry)
    return entry


@contextmanager
def injected(
    lab: Lab, fault: Fault, *, before: Callable[[], None], after: Callable[[], None]
) -> Iterator[LiveFault]:
    """The fault lives while the block runs, and never longer than its own bound.

    `before` and `after` are the health gates; they raise when the lab is not healthy. Without health before
    there is no fault; the gate after it is skipped only when the block itself failed, whose error is the
    better one. Raises `PreflightError` on a lab that is not disposable or has a live fault.
    """
    if not lab.inventory.disposable:
        raise PreflightError(
            f"{fault.title}: refused: inventory field `disposable` is false",
            next_step="set disposable: true in the inventory if this lab may be broken",
        )
    fault.available(lab)
    before()
    journal, entry = Journal(lab), _note(lab, fault)
    live = LiveFault(fault, time.monotonic())
    healing = threading.Lock()

    def heal() -> None:
        with healing:
            if live.healed is None:
                fault.heal(lab)
                live.healed = time.monotonic()
                journal.remove(entry)
                live.over.set()

    def expire() -> None:
        log.warning("%s: healed after its bound of %g s", fault.title, fault.seconds)
        try:
            heal()
        except PlumblineError as error:
            log.error("%s: could not be healed: %s", fault.title, error)

    bound = threading.Timer(fault.seconds, expire)
    bound.daemon = True
    try:
        fault.inject(lab)
        # not before: a bound that passed during the damage would heal what is not broken yet
        bound.start()
        yield live
    finally:
        bound.cancel()
        heal()
    after()
