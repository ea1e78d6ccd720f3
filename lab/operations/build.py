"""Converge the lab: make what is missing, change what differs.

What is done is decided by what is found, so a build that was interrupted anywhere is finished by another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import RenderableType
from rich.table import Table

from lab.machines import State
from lab.steps import addons, control_plane, hosts, joining, machines, settled
from lab.steps.context import Build
from lab.steps.decide import Decision, Origin, decide
from lab.steps.engine import Stages, Step
from lab.steps.gather import gather
from lab.steps.operation import Operation
from lab.steps.preflight import preflight, states


def steps(build: Build) -> Stages:
    """Machines, hosts, the cluster's birth, joins, add-ons; steps of different hosts overlap."""
    inventory = build.lab.inventory
    found = states(build.lab)
    yield [machines.preparing(build, found)]
    # before anything is decided: a machine that is off may hold the cluster
    idle = {name: state for name, state in found.items() if state in machines.AWAKENED}
    if idle:
        yield [step for name, state in idle.items() for step in machines.awakening(build, name, state)]
    known = settled.guard(build)
    facts = gather(build, tuple(inventory.hosts))
    build.fresh = {name for name, state in facts.states.items() if state is State.ABSENT}
    decisions = decide(inventory, build.bundles, facts)
    first = _hosts(build, decisions)
    if _founder(decisions):
        yield first + _cluster(build, decisions, first, None)
        return
    # a cluster that lives is looked at when its hosts are in order
    yield first
    if not known:
        settled.guard(build)
    yield _cluster(build, decisions, first, addons.compared(build))


def _hosts(build: Build, decisions: Mapping[str, Decision]) -> list[Step]:
    """Hosts as their bundles say, up to an API that answers.

    On few cores machines compete, so those that nothing waits for start when the founding master is up.
    """
    balancer = build.lab.inventory.balancer
    founder = _founder(decisions)
    leading = [name for name in (balancer, founder) if name in build.fresh]
    steps: list[Step] = []
    for name, item in decisions.items():
        if name in build.fresh:
            later = [] if name in leading else [f"boot:{other}" for other in leading]
            steps += machines.making(build, name, later)
            steps.append(hosts.converging(build, name, needs=[f"boot:{name}"], new=True))
            continue
        if item.resize:
            steps.append(machines.resizing(build, name, item.resize))
        if item.host:
            steps.append(hosts.converging(build, name, item.host))
    converged = {step.key for step in steps if step.phase == "converge"}
    needs = {f"converge:{balancer}"} & converged
    if founder:
        wanted = needs | {f"converge:{founder}"} & converged
        steps.append(control_plane.founding(build, founder, wanted, leftover=decisions[founder].leftover))
        needs |= {f"init:{founder}"}
    return [*steps, control_plane.answering(build, needs)]


def _founder(decisions: Mapping[str, Decision]) -> str | None:
    return next((name for name, item in decisions.items() if item.cluster is Origin.INIT), None)


def _cluster(
    build: Build, decisions: Mapping[str, Decision], first: Iterable[Step], seen: addons.Compared | None
) -> list[Step]:
    """Nodes join while add-ons are applied; then all of it is waited for."""
    applied = addons.applying(build, seen)
    before = {step.key for step in (*first, *applied)}
    joins: list[Step] = []
    previous: set[str] = set()
    for name, item in decisions.items():
        if item.cluster is not Origin.JOIN:
            continue
        needs = {"api"} | ({f"converge:{name}", addons.KUBELET} & before)
        former = joining.NOTHING if seen is None else joining.former_life(build, name)
        master = name in build.lab.inventory.masters
        # etcd takes one learner at a time, so masters join in a row
        after = previous if master else set()
        joins.append(joining.joining(build, name, former, needs, after, leftover=item.leftover))
        previous = {f"join:{name}"} if master else previous
    return [*joins, *applied, *addons.waiting(build, [*first, *joins, *applied])]


def told(build: Build, _changed: bool) -> Iterable[RenderableType]:
    """Machines, the API's address, the kubeconfig and what to type next."""
    inventory = build.lab.inventory
    build.lab.fetch_kubeconfig()
    table = Table(box=None, pad_edge=False)
    for title in ("machine", "role", "address"):
        table.add_column(title)
    for name, host in inventory.hosts.items():
        table.add_row(name, host.role.value, str(host.address))
    yield table
    yield from (
        "",
        f"API         https://{inventory.endpoint}",
        f"kubeconfig  {build.lab.kubeconfig}",
        f"took        {build.console.elapsed:.1f} s; evidence in {build.run.folder}",
        "",
        "next:",
        "  prove it, layer by layer        invoke verify",
        "  use it                          invoke kubectl -- get nodes -o wide",
        "  a shell in the lab's network    invoke shell",
        "  remove all of it                invoke destroy",
    )


OPERATION = Operation(
    steps, check=preflight, nothing="nothing to change: the lab is what the inventory says", told=told
)
