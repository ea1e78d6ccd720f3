"""A lab that lives, for tests: built, planned, and mended by a build."""

from __future__ import annotations

from lab.operations import build as operation
from lab.steps.engine import Step, listed, something_to_do
from tests.world import World

NODE = "/api/v1/nodes/{}"


def build(world: World) -> bool:
    made = world.build()
    try:
        return made.engine.execute(operation.steps(made))
    finally:
        made.run.close()


def plan(world: World) -> list[Step]:
    made = world.build()
    made.planning = True
    try:
        return listed(operation.steps(made))
    finally:
        made.run.close()


def said(world: World) -> dict[str, tuple[str, ...]]:
    """What is to be done, by host or part of the lab."""
    return {step.subject: step.will for step in plan(world) if step.will}


def asked(world: World) -> dict[str, tuple[str, ...]]:
    return {step.subject: step.asks for step in plan(world) if step.asks}


def mended(world: World) -> None:
    """A build mends all that the plan named, and then the plan is empty."""
    assert build(world)
    assert said(world) == {}
    assert not something_to_do(plan(world))
