"""A build of the lab without machines, and what its plan says."""

from __future__ import annotations

from lab.operations import build as operation
from lab.steps.context import Context
from lab.steps.engine import Step, listed
from tests.world import World


def build_lab(context: Context) -> bool:
    return context.engine.execute(operation.steps(context))


def plan(context: Context) -> list[Step]:
    return listed(operation.steps(context))


def said(steps: list[Step]) -> dict[str, tuple[str, ...]]:
    """The sentences of a plan, by host or add-on."""
    found: dict[str, tuple[str, ...]] = {}
    for step in steps:
        if step.will:
            found[step.subject] = (*found.get(step.subject, ()), *step.will)
    return found


def built(world: World) -> None:
    """Build the lab and forget what was said on the way."""
    made = world.build()
    build_lab(made)
    made.run.close()
    world.kubeadm_runs.clear()
    world.ssh.calls.clear()
    world.provider.log.clear()
    world.api.applied.clear()
    world.api.deleted.clear()
    for host in world.hosts.values():
        host.ran.clear()
