"""Converge the lab: make what is missing, change what differs.

What is done is decided by what is found, so a build that was interrupted anywhere is finished by another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from rich.console import RenderableType
from rich.table import Table

from lab.addons import selected
from lab.cluster.kubeadm_flags import API_SERVER
from lab.errors import PlumblineError
from lab.inventory.addon_sections import addresses
from lab.machines import State
from lab.steps import (
    addons,
    control_plane,
    hosts,
    joining,
    left_hosts,
    machines,
    members,
    removing,
    resolvers,
    settled,
    static_pods,
)
from lab.steps.context import Context, LabFacts
from lab.steps.decide import Decision, Origin, decide
from lab.steps.engine import Stages, Step, something_to_do
from lab.steps.gather import gather, tell_remarks
from lab.steps.operation import Operation
from lab.steps.preflight import preflight, states


def steps(context: Context, *, remove_data: Sequence[str] = ()) -> Stages:
    """Machines, hosts, the cluster's birth, joins, add-ons; steps of different hosts overlap.

    `remove_data` names add-ons that left the inventory and may go with the data that they hold.
    """
    inventory = context.lab.inventory
    found = states(context.lab)
    if all(state is State.ABSENT for state in found.values()):
        removing.refuse_unknown(context, removing.NOTHING, remove_data)  # nothing lives with other names
    yield [machines.preparing(context, found)]
    # before anything is decided: a machine that is off may hold the cluster
    idle = {name: state for name, state in found.items() if state in machines.AWAKENED}
    if idle:
        yield [step for name, state in idle.items() for step in machines.awakening(context, name, state)]
    with ThreadPoolExecutor(1) as pool:
        looked = pool.submit(early, context)
        try:
            facts = gather(context, tuple(inventory.hosts))
        except PlumblineError:
            # another cluster than the file's is the worse news
            settled.judge(context, settled.living(context))
            raise
        born = settled.from_facts(context, facts)
    known = settled.judge(context, born)
    if not context.planning and born.documents:
        left_hosts.guard(context, born.documents.nodes)
    tell_remarks(context, facts)
    seen, compared = looked.result()
    if seen:
        removing.guard(context, seen, remove_data)
    context.fresh = {name for name, state in facts.states.items() if state is State.ABSENT}
    decisions = decide(inventory, context.bundles, facts)
    first = [*_hosts(context, decisions, facts), *left_hosts.machines(context)]
    if _founder(decisions):
        removing.guard(context, removing.NOTHING, remove_data)
        yield first + _cluster(context, decisions, first, None, removing.NOTHING)
        return
    # a cluster that lives is looked at when its hosts are in order: anew where they were not
    yield first
    if compared is None or (something_to_do(first) and not context.planning):
        compared = addons.compared(context)
    if not known and not context.planning:
        settled.judge(context, settled.living(context))
    # an API server that is ready reads from its own etcd
    if not all(born.well(name, API_SERVER) for name in facts.joined(inventory.masters)):
        joining.whole(context, facts.joined(inventory.masters))
    left = seen or removing.late(context, compared)
    if left is not seen:
        removing.guard(context, left, remove_data)
    yield _cluster(context, decisions, first, compared, left, _living(context, facts))


def early(context: Context) -> tuple[removing.Left | None, addons.Compared | None]:
    """What left the inventory and what add-ons would change, looked at beside the hosts.

    None for each where no API answers at once, or not to the end.
    """
    provider = context.lab.provider
    if all(provider.state(name) is not State.RUNNING for name in context.lab.inventory.masters):
        return None, None
    provider.enter()
    try:
        if not context.api.ready():
            return None, None
        with ThreadPoolExecutor(1) as pool:
            compared = pool.submit(addons.compared, context)
            return removing.look(context), compared.result()
    except PlumblineError:
        return None, None


def _living(context: Context, facts: LabFacts) -> list[Step]:
    """What lives beside the add-ons' objects: nodes, processes of the control plane, copies of files."""
    items = members.living(context)
    changing = [
        *members.mending(context, facts, items),
        *static_pods.restarting(context, facts),
    ]
    copied = resolvers.renewing(context, facts, [step.key for step in changing])
    return [*changing, *copied, *left_hosts.node_objects(context, items)]


def _hosts(context: Context, decisions: Mapping[str, Decision], facts: LabFacts) -> list[Step]:
    """Hosts as their bundles say, up to an API that answers.

    On few cores machines compete, so those that nothing waits for start when the founding master is up.
    """
    balancer = context.lab.inventory.balancer
    founder = _founder(decisions)
    leading = [name for name in (balancer, founder) if name in context.fresh]
    steps: list[Step] = []
    for name, item in decisions.items():
        if name in context.fresh:
            later = [] if name in leading else [f"boot:{other}" for other in leading]
            steps += machines.making(context, name, later)
            steps.append(hosts.converging(context, name, needs=[f"boot:{name}"], new=True))
            continue
        if name in facts.silent:
            steps.append(replace(hosts.converging(context, name), unknown=facts.silent[name]))
        if item.resize:
            steps.append(machines.resizing(context, name, item.resize))
        if item.host:
            steps.append(hosts.converging(context, name, item.host))
    converged = {step.key for step in steps if step.phase == "converge"}
    needs = {f"converge:{balancer}"} & converged
    returning = control_plane.returning(context, facts.drained, needs)
    steps += returning
    needs |= {step.key for step in returning}
    if founder:
        wanted = needs | {f"converge:{founder}"} & converged
        steps.append(control_plane.founding(context, founder, wanted, leftover=decisions[founder].leftover))
        needs |= {f"init:{founder}"}
    return [*steps, control_plane.answering(context, needs)]


def _founder(decisions: Mapping[str, Decision]) -> str | None:
    return next((name for name, item in decisions.items() if item.cluster is Origin.INIT), None)


def _cluster(
    context: Context,
    decisions: Mapping[str, Decision],
    first: Iterable[Step],
    seen: addons.Compared | None,
    left: removing.Left | PlumblineError,
    living: Sequence[Step] = (),
) -> list[Step]:
    """Nodes join while add-ons are applied and what left the inventory goes; then all of it is waited for."""
    known = left if isinstance(left, removing.Left) else removing.NOTHING
    hooks = removing.webhooks(context, known)
    # webhooks judge what is applied, from pods that may be on a node whose network is mended here; the
    # network itself waits for no node: a node whose first build was killed waits for it
    nodes = frozenset(step.key for step in living if step.phase == "member")
    waiting = [addon for addon in selected(context.lab.inventory) if addon not in members.networks(context)]
    waits = {f"addon-{addon.name}" for addon in waiting}
    applied = [
        replace(step, after=step.after | nodes) if step.key in waits else step
        for step in addons.applying(context, seen, known, hooks)
    ]
    removed = removing.removing(context, left, applied)
    before = {step.key for step in (*first, *applied)}
    joins: list[Step] = []
    previous: set[str] = set()
    for name, item in decisions.items():
        if item.cluster is not Origin.JOIN:
            continue
        needs = {"api"} | ({f"converge:{name}", addons.KUBELET} & before)
        former = joining.NOTHING if seen is None else joining.former_life(context, name)
        master = name in context.lab.inventory.masters
        # etcd takes one learner at a time, so masters join in a row
        after = previous if master else set()
        joins.append(joining.joining(context, name, former, needs, after, leftover=item.leftover))
        previous = {f"join:{name}"} if master else previous
    changing = [*joins, *hooks, *applied, *removed, *living]
    return [*changing, *addons.waiting(context, [*first, *changing])]


def told(context: Context, _changed: bool, **_options: object) -> Iterable[RenderableType]:
    """Machines, the API's address, the kubeconfig and what to type next."""
    inventory = context.lab.inventory
    context.lab.fetch_kubeconfig()
    table = Table(box=None, pad_edge=False)
    for title in ("machine", "role", "address"):
        table.add_column(title)
    for name, host in inventory.hosts.items():
        table.add_row(name, host.role.value, str(host.address))
    yield table
    yield from (
        "",
        f"API         https://{inventory.endpoint}",
        *(f"{name:<11} {place}" for name, place in addresses(inventory).items()),
        f"kubeconfig  {context.lab.kubeconfig}",
        f"took        {context.console.elapsed:.1f} s; evidence in {context.run.folder}",
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
