"""Health around faults: a gate before, a wait after, and mending what a crashed run left."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.outcomes import Mismatch
from lab.checks.verbs import Refused
from lab.damage import Damage, Journal, repair
from lab.errors import FailedError, PlumblineError, PreflightError
from lab.faults.catalogue import KINDS
from lab.faults.inject import LiveFault, injected
from lab.faults.kinds import Fault
from lab.labs import Lab
from lab.locks import exclusive
from lab.render.bundle import pins

RECOVERY = 300.0
"""Seconds a healed lab has to be healthy again: row L4-22's limit for a node that was away."""


@contextmanager
def gated(driver: Driver, fault: Fault, *, within: float = 0) -> Iterator[LiveFault]:
    """The fault lives while the block runs; the lab is healthy before, and again `within` seconds after it.

    Without `within` the inventory's limit holds. Raises what a check raises when the lab is not healthy.
    """
    limit = within or driver.inventory.thresholds.recovery_seconds
    with injected(
        driver.lab,
        fault,
        before=lambda: health.gate(driver),
        after=lambda: health.recovered(driver, within=limit),
    ) as live:
        yield live


def must_be_healthy(driver: Driver) -> None:
    """Rows L2-01 to L2-04 hold. Raises `PreflightError` with the first that does not."""
    try:
        health.gate(driver)
    except (Mismatch, Refused, PlumblineError) as error:
        raise PreflightError(f"the lab is not healthy, so nothing was broken: {error}") from error


def await_health(driver: Driver) -> None:
    """Wait until the lab is healthy again. Raises `FailedError` with what is not."""
    try:
        health.recovered(driver, within=RECOVERY)
    except Mismatch as error:
        raise FailedError(f"after the fault: {error}", next_step="invoke status") from error


def heal_left_behind(lab: Lab, say: Callable[[str], None]) -> tuple[str, ...]:
    """Undo what a crashed command left broken, say so, and give it back. The caller holds the lab's lock.

    Raises `PreflightError` when the process that broke it still lives (it undoes that itself) or when a fault
    is not known to this version; `FailedError` with everything that cannot be undone.
    """
    journal, healed = Journal(lab), list[str]()
    for entry in journal.entries():
        if entry.alive:
            raise PreflightError(
                f"lab {lab.inventory.lab}: {entry.told}", next_step="wait for that process to end"
            )
        if not entry.repair and entry.name not in KINDS:
            raise PreflightError(
                f"lab {lab.inventory.lab}: fault {entry.told}, and is not known to this version",
                next_step="invoke destroy, then invoke build",
            )

    def done(entry: Damage) -> None:
        healed.append(f"healed {entry.title}, left behind by process {entry.pid} since {entry.since}")
        say(healed[-1])

    if journal.entries():
        with lab.inside():
            problems = journal.undo(lambda entry: _heal(lab, entry), done)
        if problems:
            raise FailedError(
                f"{lab.inventory.lab}: what was left broken cannot be undone: {'; '.join(problems)}",
                next_step="invoke build, or invoke destroy and invoke build",
            )
    return tuple(healed)


def _heal(lab: Lab, entry: Damage) -> None:
    if entry.repair:
        repair(lab, entry)
    else:
        Fault(KINDS[entry.name], entry.host, entry.seconds).heal(lab)


def mend(lab: Lab, say: Callable[[str], None]) -> tuple[str, ...]:
    """Undo what a crashed command left broken, say so, and wait for health; gives back what was undone.

    What a command that still works has live is left to it, and said. What cannot be healed, or does not
    recover, is said and nothing more: the lab's state is for the command to judge, and to look at.
    """
    try:
        with exclusive(lab, "healing what was left broken"):
            healed = heal_left_behind(lab, say)
            if healed:
                _say_health(lab, say)
    except PlumblineError as error:
        say(str(error))
        return ()
    return healed


def _say_health(lab: Lab, say: Callable[[str], None]) -> None:
    with tempfile.TemporaryDirectory() as folder, lab.inside():
        try:
            await_health(Driver(lab, Path(folder), pins(lab.inventory)))
            say("the lab is healthy again")
        except PlumblineError as error:
            say(error.message)
