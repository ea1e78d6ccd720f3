"""Health around faults: a gate before, a wait after, and mending what a crashed run left."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.outcomes import Mismatch
from lab.checks.verbs import Refused
from lab.damage import Damage, Journal, repair
from lab.errors import DeadlineError, FailedError, PlumblineError, PreflightError
from lab.faults.catalogue import KINDS
from lab.faults.inject import LiveFault, injected
from lab.faults.kinds import Fault
from lab.hosts.converge import look
from lab.labs import Lab
from lab.locks import exclusive
from lab.render.bundle import pins
from lab.waits import NotYet, wait_for

RECOVERY = 300.0
"""Seconds a healed lab has to be healthy again: row L4-22's limit for a node that was away."""
ANSWER_SECONDS = 20.0
"""For a machine that boots to let us look at it, before it is asked again."""


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
    """Wait until every machine has booted and the lab is healthy again.

    A node is called Ready for as long as the grace period after its machine went, so a machine that was
    switched on again a moment ago is asked itself. Raises `FailedError` with what is not healthy,
    `DeadlineError` for a machine that does not come up.
    """
    _await_boots(driver)
    try:
        health.recovered(driver, within=RECOVERY)
    except Mismatch as error:
        raise FailedError(f"after the fault: {error}", next_step="invoke status") from error


def _await_boots(driver: Driver) -> None:
    waiting = tuple(driver.bundles)  # made once, before threads ask for them

    def probe() -> None:
        nonlocal waiting
        with ThreadPoolExecutor(len(waiting)) as pool:
            said = dict(zip(waiting, pool.map(partial(_boots, driver), waiting), strict=True))
        waiting = tuple(name for name, state in said.items() if state)
        if waiting:
            raise NotYet("; ".join(said[name] for name in waiting))

    wait_for("after the fault: boot", probe, seconds=RECOVERY, interval=1, next_step="invoke status")


def _boots(driver: Driver, name: str) -> str:
    """Why a machine has not booted yet, as `invoke plan` would say it; "" for one that has."""
    try:
        seen = look(driver.lab.ssh, driver.bundles[name], seconds=ANSWER_SECONDS)
    except (FailedError, DeadlineError) as error:
        return error.message.splitlines()[0]
    return f"{name}: is still booting" if seen.booting else ""


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
