"""Remove the lab, or one machine of it; what this lab did not make is not touched."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType

from lab.steps import leaving
from lab.steps.context import Build
from lab.steps.engine import Stages
from lab.steps.operation import Operation


def steps(build: Build, *, host: str = "") -> Stages:
    """Machines and what they shared; then what this machine keeps of them."""
    if host:
        yield [leaving.machine(build, host)]
        return
    removal = leaving.machines(build)
    yield [removal, leaving.traces(build, removal)]


def told(build: Build, changed: bool) -> Iterable[RenderableType]:
    """What is left: nothing."""
    what = "removed: no machine, process, mount or network of it is left" if changed else "nothing to remove"
    yield f"{build.lab.inventory.lab}: {what}"


OPERATION = Operation(steps, artefacts=False, heals=False, told=told)
