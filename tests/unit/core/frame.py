"""The commands of a lab of fakes, with an operation of the test's choice."""

from __future__ import annotations

from collections.abc import Callable

from invoke.exceptions import Exit

from lab.commands import operating
from lab.errors import FailedError
from lab.labs import Lab
from lab.steps.context import Context
from lab.steps.engine import Stages, Step
from lab.steps.operation import Operation
from tests.world import World


class Frame:
    """The commands of a lab of fakes, with an operation of the test's choice."""

    def __init__(self, world: World, lab: Lab) -> None:
        self.world, self.lab = world, lab
        self.story: list[str] = []
        self.operation = self.of(lambda: (True, ""))
        self.options: dict[str, object] = {}

    def of(
        self, does: Callable[[], tuple[bool, str]], will: tuple[str, ...] = ("write x",), **fields: object
    ) -> Operation:
        """An operation of one step on worker-1."""

        def steps(_build: Context, **options: object) -> Stages:
            self.options = options
            yield [
                Step("work", "worker-1", "work", frozenset(), does, will=will, diffs=("--- a\n+++ b\n-c\n",))
            ]

        known = Operation(steps, artefacts=False, check=lambda _: self.story.append("check"))
        self.operation = Operation(**{**known.__dict__, **fields})
        return self.operation

    def act(self, **options: object) -> int:
        """The exit code."""
        return exit_code(lambda: operating.operate("build", "rehearsal", "", False, **options))

    def plan(self, **options: object) -> int:
        return exit_code(lambda: operating.plan("build", "rehearsal", "", **options))


def exit_code(command: Callable[[], None]) -> int:
    try:
        command()
    except Exit as left:
        return left.code or 0
    return 0


def fails() -> tuple[bool, str]:
    raise FailedError("worker-1: no answer", next_step="invoke logs")
