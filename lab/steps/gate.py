"""The gate between two machines of a rolling change: the lab is healthy, or the operation goes no further."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.checks.verbs import Refused
from lab.steps.context import Context
from lab.steps.engine import Step
from lab.waits import NotYet, wait_for

HEALTHY_SECONDS = 300
"""As long as a node that was away has to be Ready again (row L4-22)."""


def gate(context: Context, after: str, needs: Iterable[str]) -> Step:
    """Wait until rows L2-01 to L2-04 hold again after the change of a host ("" before the first)."""
    return Step("gate", after, "the lab is healthy", frozenset(needs), partial(healthy, context, after))


def healthy(context: Context, after: str = "", seconds: float = HEALTHY_SECONDS) -> tuple[bool, str]:
    """Wait for the lab's health, which every fault is held to as well.

    Raises `DeadlineError` with the first thing that does not hold.
    """
    # a plan has gates too, and the means of all checks are loaded for none of them
    from lab.checks import health
    from lab.checks.driver import Driver

    driver = Driver(context.lab, context.run.folder, context.pins)
    note = context.noting(f"gate:{after}" if after else "gate")

    def probe() -> None:
        try:
            health.gate(driver)
        except (Mismatch, Refused, CouldNotTell) as error:
            state = str(error).partition("\n")[0]
            note(state)
            raise NotYet(state) from error

    subject = f"health of the lab after {after}" if after else "health of the lab"
    wait_for(subject, probe, seconds=seconds, interval=1, next_step="invoke status")
    return False, ""
