"""Nodes that are a part of the cluster as steps: Node objects and the pods' network on their machines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial

from lab.addons import AddOn, selected
from lab.cluster import nodes
from lab.cluster.api import FIELD_MANAGER, MERGE, patiently
from lab.cluster.nodes import OverlayTrouble
from lab.errors import DeadlineError, PlumblineError
from lab.hosts.changes import HostChange
from lab.hosts.converge import HostFacts, apply, look
from lab.inventory.addon_sections import of_lab
from lab.objects import Object, is_ready
from lab.steps.context import Context, LabFacts
from lab.steps.engine import Step
from lab.waits import NotYet, wait_for

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
REGISTER_SECONDS = 60
"""For a kubelet that starts to make its Node object, and the controller manager to give it its part."""
NETWORK_SECONDS = 120
BY_ITSELF_SECONDS = 15
"""For a network that is about to come up."""
RESTART = HostChange("restart kubelet", commands=(("systemctl", "restart", "kubelet"),))


def living(context: Context) -> dict[str, Object] | None:
    """Node objects by name; None where no API answers, which the comparison of add-ons tells."""
    if "api" in context.engine.lost:
        return None
    try:
        return {item["metadata"]["name"]: item for item in context.api.items(NODES)}
    except PlumblineError:
        return None


def mending(context: Context, facts: LabFacts, items: Mapping[str, Object] | None) -> list[Step]:
    """A step for each node that is a part of the cluster and not as the inventory says."""
    steps: list[Step] = []
    if items is None:
        return steps
    for name in facts.joined(context.lab.inventory.nodes):
        will = sentences(context, name, items, facts.hosts[name])
        if will:
            run = partial(mend, context, name)
            steps.append(Step("member", name, "Node object", frozenset({"api"}), run, will=will))
    return steps


def sentences(context: Context, name: str, items: Mapping[str, Object], seen: HostFacts) -> tuple[str, ...]:
    """What differs on a node, and what is done about it."""
    if name not in items:
        return (
            f"restart the kubelet: its Node object {name} is gone, and is made again with the labels and "
            "taints of the inventory",
        )
    told = [*nodes.compare(context.lab.inventory, items[name]).sentences]
    bridge, _ = _links(context)
    if bridge and (why := nodes.bridge_trouble(bridge, items[name], seen.links)):
        told.append(f"remove the bridge and replace the pods behind it: {why}")
    if trouble := _overlay_trouble(context, name, items, seen):
        told.append(f"restart the pods' network on this node: {trouble.why}")
    return tuple(told)


def _overlay_trouble(
    context: Context, name: str, items: Mapping[str, Object], seen: HostFacts
) -> OverlayTrouble | None:
    _, overlay = _links(context)
    return nodes.overlay_trouble(overlay, name, items, seen.links, seen.routes) if overlay else None


def _links(context: Context) -> tuple[str, str]:
    """Bridge and overlay of the pods' network; "" where the lab's network has no such interfaces."""
    found = context.bundles[context.lab.inventory.masters[0]].pod_interfaces
    return (found[0], found[-1]) if len(found) > 1 else ("", "")


def mend(context: Context, name: str) -> tuple[bool, str]:
    """Bring a Node object, and the pods' network on its machine, to what they should be."""
    items = _items(context)
    seen = look(context.lab.ssh, context.bundles[name])
    will = sentences(context, name, items, seen)
    made = name not in items
    apart = made or _overlay_trouble(context, name, items, seen) is not None
    if made:
        apply(context.lab.ssh, name, (RESTART,))
        items[name] = wait_for(
            f"Node object of {name}",
            partial(_registered, context, name),
            seconds=REGISTER_SECONDS,
            interval=0.5,
            next_step=f"invoke logs --host {name}",
        )
    patch = nodes.compare(context.lab.inventory, items[name]).patch
    if patch:
        path = f"{NODES}/{name}?fieldManager={FIELD_MANAGER}"
        patiently(f"Node {name}", lambda: context.api.request("PATCH", path, patch, MERGE))
    bridge, overlay = _links(context)
    if overlay and apart:
        _reconnect(context, name, items, made=made)
    # after the overlay, whose pods tell new ones of which part the bridge is to be
    if bridge:
        _rebridge(context, name, bridge, items[name])
    return bool(will), "; ".join(will)


def _items(context: Context) -> dict[str, Object]:
    found = patiently("nodes", lambda: context.api.items(NODES))
    return {item["metadata"]["name"]: item for item in found}


def _registered(context: Context, name: str) -> Object:
    context.check()
    item: Object | None = patiently(f"Node {name}", lambda: context.api.get(f"{NODES}/{name}"))
    if item is None:
        raise NotYet("there is none")
    if nodes.part_of(item) is None:
        raise NotYet("it has no part of the pods' network")
    return item


def _rebridge(context: Context, name: str, bridge: str, item: Object) -> None:
    """Remove a bridge of another part, which the next pod makes again, and replace the pods behind it."""
    facts = look(context.lab.ssh, context.bundles[name])
    if not nodes.bridge_trouble(bridge, item, facts.links):
        return
    # true where it is gone already: an interrupted change does it again
    gone = ("sh", "-c", f"ip link delete {bridge} 2>/dev/null || test ! -e /sys/class/net/{bridge}")
    apply(context.lab.ssh, name, (HostChange(f"remove {bridge}", commands=(gone,)),))
    for pod in _pods(context, name):
        if not pod["spec"].get("hostNetwork") and pod["metadata"].get("ownerReferences"):
            _replace(context, pod)


def _reconnect(context: Context, name: str, items: Mapping[str, Object], *, made: bool) -> None:
    """Restart the pods of the network's add-on on a node, which make address and routes again.

    On a machine that has just booted they are about to do so: that is waited for first. Where the Node object
    was just `made`, they are not: they wrote their end of the network into the former one when they started.
    A node to which there is no route may be such a one: its pods are restarted with those of the node.
    """

    def trouble(on: str) -> OverlayTrouble | None:
        context.check()
        living = _items(context)
        if not is_ready(living[name]):
            return OverlayTrouble(f"{name} is not Ready")
        return _overlay_trouble(context, on, living, look(context.lab.ssh, context.bundles[on]))

    def probe(on: str) -> None:
        if found := trouble(on):
            raise NotYet(f"{on}: {found.why}")

    subject = f"the pods' network of {name}"
    ends = {name}
    if not made:
        with suppress(DeadlineError):
            wait_for(subject, partial(probe, name), seconds=BY_ITSELF_SECONDS, interval=1)
            return
        last = trouble(name)
        ends |= {last.other} if last and last.other else set()
    spaces = [space for addon in networks(context) for space in addon.namespaces]
    for pod in (pod for end in sorted(ends) for pod in _pods(context, end)):
        if pod["metadata"]["namespace"] in spaces:
            _replace(context, pod)
    for on in [name, *(other for other in items if made and other in context.bundles and other != name)]:
        wait_for(
            subject,
            partial(probe, on),
            seconds=NETWORK_SECONDS,
            interval=1,
            next_step=f"invoke logs --host {on}",
        )


def networks(context: Context) -> list[AddOn]:
    """The add-ons that make the pods' network."""
    inventory = context.lab.inventory
    owners = {addon.name for addon, section in of_lab(inventory) if section.pod_interfaces(inventory)}
    return [addon for addon in selected(inventory) if addon.name in owners]


def _pods(context: Context, name: str) -> Iterable[Object]:
    found = patiently(f"pods of {name}", lambda: context.api.items(PODS))
    return [pod for pod in found if pod["spec"].get("nodeName") == name]


def _replace(context: Context, pod: Object) -> None:
    meta = pod["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
    patiently(f"Pod {meta['name']} replaced", lambda: context.api.delete(path))
