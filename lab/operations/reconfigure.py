"""Change what a living cluster was born with: reaction, grace period, proxy mode, certificate names.

One master at a time, out of HAProxy's rotation; the lab is healthy before the first, and after each.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import RenderableType

from lab.cluster.settled import GRACE, Deviation, compare
from lab.hosts import rotation
from lab.hosts.changes import HostChange
from lab.steps import addons, control_plane, hosts, proxying, reconfiguring, settled
from lab.steps.context import Build
from lab.steps.decide import decide
from lab.steps.engine import Stages, Step
from lab.steps.gather import gather
from lab.steps.operation import Operation


def steps(build: Build) -> Stages:
    """Hosts and the control plane, in the order that is safe; then kube-proxy, and what add-ons follow from.

    A node must renew its lease in less than the grace period at any moment. Shorter periods go to the
    kubelets first and to the controller managers after that; longer ones the other way round.
    """
    inventory = build.lab.inventory
    living = settled.living(build)
    deviations = compare(inventory, settled.configuration(build), living)
    reconfiguring.possible(build, living, deviations)
    facts = gather(build, tuple(inventory.hosts))
    reconfiguring.whole(build, facts)
    decisions = decide(inventory, build.bundles, facts)
    changes = {name: item.host for name, item in decisions.items() if item.host}
    left = rotation.drained(build.lab.ssh, inventory.balancer)
    # what stands second needs all that stands first: a master that failed keeps the kubelets as they are
    if longer(deviations):
        masters = reconfiguring.masters(build, living, left)
        converging = _hosts(build, changes, masters)
    else:
        converging = _hosts(build, changes, ())
        masters = reconfiguring.masters(build, living, left, converging)
    yield [*masters, *converging]
    before = {step.key for step in (*masters, *converging)}
    yield _cluster(build, before, reconfiguring.uploading(build, living, before))


def _hosts(build: Build, changes: Mapping[str, tuple[HostChange, ...]], after: Iterable[Step]) -> list[Step]:
    """Hosts as their bundles say: kubelets and HAProxy with the times of the inventory."""
    needs = [step.key for step in after]
    return [hosts.converging(build, name, items, needs) for name, items in changes.items()]


def longer(deviations: Iterable[Deviation]) -> bool:
    """Whether a controller manager, or kubeadm's ConfigMap, has a shorter grace period than the file."""
    return any(item.setting == GRACE and _seconds(item.living) < _seconds(item.wanted) for item in deviations)


def _seconds(value: str) -> int:
    """Seconds of a flag as we write it; one that is not set counts as the shortest."""
    digits = value.removesuffix("s")
    return int(digits) if digits.isdigit() else 0


def _cluster(build: Build, before: Iterable[str], uploading: list[Step]) -> list[Step]:
    """What lies in the API: the ConfigMaps, kube-proxy's pods, the add-ons' clients."""
    needs = frozenset(before)
    found = [*uploading, *proxying.proxying(build, needs)]
    applied = addons.applying(build, addons.compared(build))
    steps = [*found, control_plane.answering(build, needs), *applied]
    return [*steps, *addons.waiting(build, steps)]


def told(build: Build, changed: bool) -> Iterable[RenderableType]:
    """What to type next."""
    if changed:
        yield f"{build.lab.inventory.lab}: the living cluster is what the inventory says"
        yield "  prove it                        invoke verify --layer cluster"


OPERATION = Operation(
    steps, nothing="nothing to change: the living cluster is what the inventory says", told=told
)
