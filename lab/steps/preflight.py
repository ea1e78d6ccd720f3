"""Preflight: everything that speaks against a build, at once, before anything changes."""

from __future__ import annotations

from lab.errors import PreflightError
from lab.labs import Lab
from lab.machines import Problem, State
from lab.steps.machines import outline


def states(lab: Lab) -> dict[str, State]:
    """The state of each machine of the inventory."""
    return {name: lab.provider.state(name) for name in lab.inventory.hosts}


def examine(lab: Lab) -> tuple[int, list[Problem]]:
    """How many machines are still to be made or started, and everything that speaks against it or warns.

    A machine that runs has passed already, unless we did not make it: only the others count for memory and
    disk.
    """
    found = states(lab)
    wanted = [name for name, state in found.items() if state is not State.RUNNING]
    existing = [name for name in found if name not in wanted and not lab.inventory.makes(name)]
    asked = [outline(lab.inventory, name) for name in (*wanted, *existing)]
    return len(wanted), list(lab.provider.preflight(asked)) if asked else []


def preflight(lab: Lab) -> tuple[int, list[Problem]]:
    """How many machines are still to be made or started, and warnings.

    Raises `PreflightError` with all reasons.
    """
    count, problems = examine(lab)
    reasons = [problem for problem in problems if problem.stops]
    if reasons:
        raise PreflightError(
            "this machine cannot take the lab:\n  " + "\n  ".join(map(str, reasons)),
            next_step="mend the above, then run the same command again",
        )
    return count, problems
