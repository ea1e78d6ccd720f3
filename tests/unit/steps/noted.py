"""Steps for tests of the engine: they note that they ran, or fail."""

from __future__ import annotations

from collections.abc import Callable

from lab.console import Console
from lab.errors import DeadlineError, FailedError
from lab.runs import Run
from lab.steps.engine import Engine, Step


def nothing() -> tuple[bool, str]:
    return False, ""


def step(key: str, *needs: str, does: Callable[[], tuple[bool, str]] = nothing) -> Step:
    phase, _, host = key.partition(":")
    return Step(phase, host, phase, frozenset(needs), does)


class Notes:
    """Which steps ran, in which order."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, key: str, *needs: str, changed: bool = False) -> Step:
        def does() -> tuple[bool, str]:
            self.ran.append(key)
            return changed, ""

        return step(key, *needs, does=does)


def done(steps: list[Step], run: Run, engine: Engine | None = None) -> bool:
    return (engine or Engine(Console(), run)).execute(iter([steps]))


def refused() -> tuple[bool, str]:
    raise FailedError("no good", next_step="invoke status")


def late() -> tuple[bool, str]:
    raise DeadlineError("pods", 3, "none")
