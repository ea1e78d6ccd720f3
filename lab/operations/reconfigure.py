"""Change what a living cluster was born with: reaction, grace period, proxy mode, certificate names.

One master at a time, out of HAProxy's rotation; the lab is healthy before the first, and after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import RenderableType

from lab.cluster.settled import GRACE, Deviation, compare
from lab.hosts.changes import HostChange
from lab.steps import addons, control_plane, hosts, proxying, reconfiguring, removing, settled
from lab.steps.context import Context
from lab.steps.decide import decide
from lab.steps.engine import Stages, Step
from lab.steps.gather import gather
from lab.steps.operation import Operation


def steps(context: Context) -> Stages:
    """Hosts and the control plane, in the order that is safe; then kube-proxy, and what add-ons follow from.

    A node must renew its lease in less than the grace period at any moment. Shorter periods go to the
    kubelets first and to the controller managers after that; longer ones the other way round.
    """
    inventory = context.lab.inventory
    living = settled.living(context)
    deviations = compare(inventory, settled.configuration(context), living)
    reconfiguring.possible(context, living, deviations)
    facts = gather(context, tuple(inventory.hosts))
    reconfiguring.whole(context, facts)
    decisions = decide(inventory, context.bundles, facts)
    changes = {name: item.host for name, item in decisions.items() if item.host}
    returning = control_plane.returning(context, facts.drained)
    # what stands second needs all that stands first: a master that failed keeps the kubelets as they are
    if longer(deviations):
        masters = reconfiguring.masters(context, living, returning)
        converging = _hosts(context, changes, [*returning, *masters])
    else:
        converging = _hosts(context, changes, returning)
        masters = reconfiguring.masters(context, living, [*returning, *converging])
    first = [*returning, *masters, *converging]
    yield first
    before = {step.key for step in first}
    yield _cluster(context, before, reconfiguring.uploading(context, living, before))


def _hosts(
    context: Context, changes: Mapping[str, tuple[HostChange, ...]], after: Iterable[Step]
) -> list[Step]:
    """Hosts as their bundles say: kubelets and HAProxy with the times of the inventory."""
    needs = [step.key for step in after]
    return [hosts.converging(context, name, items, needs) for name, items in changes.items()]


def longer(deviations: Iterable[Deviation]) -> bool:
    """Whether a controller manager, or kubeadm's ConfigMap, has a shorter grace period than the file."""
    return any(item.setting == GRACE and _seconds(item.living) < _seconds(item.wanted) for item in deviations)


def _seconds(value: str) -> int:
    """Seconds of a flag as we write it; one that is not set counts as the shortest."""
    digits = value.removesuffix("s")
    return int(digits) if digits.isdigit() else 0


def _cluster(context: Context, before: Iterable[str], uploading: list[Step]) -> list[Step]:
    """What lies in the API: the ConfigMaps, kube-proxy's pods, the add-ons' clients."""
    needs = frozenset(before)
    found = [*uploading, *proxying.proxying(context, needs)]
    compared = addons.compared(context)
    left = removing.late(context, compared)
    known = left if isinstance(left, removing.Left) else removing.NOTHING
    applied = addons.applying(context, compared, known)
    steps = [*found, control_plane.answering(context, needs), *applied]
    return [*steps, *addons.waiting(context, steps)]


def told(context: Context, changed: bool) -> Iterable[RenderableType]:
    """What to type next."""
    if changed:
        yield f"{context.lab.inventory.lab}: the living cluster is what the inventory says"
        yield "  prove it                        invoke verify --layer cluster"


OPERATION = Operation(
    steps, nothing="nothing to change: the living cluster is what the inventory says", told=told
)
