"""What an operation is: a file of `lab/operations` with an `OPERATION` of this type in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.console import RenderableType

from lab.labs import Lab
from lab.steps.context import Context
from lab.steps.engine import Stages


def _told(context: Context, changed: bool, **_options: object) -> Iterable[RenderableType]:  # noqa: ARG001
    return ()


def _nothing_at_stake(context: Context, **_options: object) -> str:  # noqa: ARG001
    return ""


@dataclass(frozen=True)
class Operation:
    """One command that changes a living lab, as the frame around it (`lab.commands.operating`) needs it.

    `steps(build, **options)` gathers facts, decides, and yields its steps in stages. What stands between two
    stages is run when the first of them has ended; while a plan is made no step is run, and the facts are
    those of now. Its options are the keyword arguments of `steps`, its help is the docstring of the file.
    """

    steps: Callable[..., Stages]
    artefacts: bool = True
    """Whether its steps use programs, images or manifests; they are brought first."""
    check: Callable[[Lab], object] | None = None
    """Raises `PreflightError` with everything that speaks against it, before anything is changed."""
    heals: bool = True
    """Whether faults that a crashed run left in the lab are healed around it."""
    nothing: str = "nothing to do"
    """What is said where nothing is to be changed."""
    stake: Callable[..., str] = _nothing_at_stake
    """What would be lost, in one sentence, given the options; "" for nothing. Where the lab is not disposable
    a person agrees to it first; the plan is told before."""
    told: Callable[..., Iterable[RenderableType]] = _told
    """What is told in the end, given whether something was changed, and the options. Texts may propose
    commands."""
