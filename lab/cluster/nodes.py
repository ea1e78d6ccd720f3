"""Node objects compared with the inventory: role, labels, taints, part of the pods' network. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_interface, ip_network

from lab.cluster.api import FIELD_MANAGER
from lab.inventory.models import Inventory
from lab.objects import Object, is_ready

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"
OF_MASTERS = (CONTROL_PLANE, EXCLUDED)
"""Labels that kubeadm gives to masters, and that a Node object which registers itself again has not."""
NO_SCHEDULE = "NoSchedule"
PASSING = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints that Kubernetes itself puts on a node, and takes away."""
KUBERNETES = ("kubernetes.io", "k8s.io")
"""Domains of labels that Kubernetes keeps itself."""


@dataclass(frozen=True)
class NodeDrift:
    """What differs on a Node object: a sentence for each, and the merge patch that mends them all."""

    sentences: tuple[str, ...]
    patch: Object


def compare(inventory: Inventory, item: Object) -> NodeDrift:
    """Role, labels and taints of a node of the inventory.

    A label that the inventory does not name is removed if a kubelet brought it: it was the inventory's at the
    node's join. What people have put there by hand stays.
    """
    name, sentences = item["metadata"]["name"], []
    held: Mapping[str, str] = item["metadata"].get("labels") or {}
    wanted = dict(inventory.hosts[name].labels)
    master = name in inventory.masters
    wanted |= dict.fromkeys(OF_MASTERS, "") if master else {}
    gone = [key for key in held if key not in wanted and (key == CONTROL_PLANE or key in _brought(item))]
    labels: dict[str, str | None] = {
        key: value for key, value in sorted(wanted.items()) if held.get(key) != value
    }
    for key, value in labels.items():
        before = f" (it is {held[key]})" if key in held else ""
        sentences.append(f"label {key}={value} on Node {name}{before}")
    sentences += [f"remove label {key} from Node {name}, which the inventory does not name" for key in gone]
    labels |= dict.fromkeys(gone)
    patch: Object = {"metadata": {"labels": labels}} if labels else {}
    taints = (item.get("spec") or {}).get("taints") or []
    right = [entry for entry in taints if entry["key"].startswith(PASSING) or (master and _of_master(entry))]
    sentences += [
        f"remove taint {entry['key']}:{entry['effect']} from Node {name}, which the inventory does not name"
        for entry in taints
        if entry not in right
    ]
    if master and not any(map(_of_master, taints)):
        sentences.append(f"taint {CONTROL_PLANE}:{NO_SCHEDULE} on Node {name}")
        right = [*right, {"key": CONTROL_PLANE, "effect": NO_SCHEDULE}]
    if right != taints:
        patch["spec"] = {"taints": right}
    return NodeDrift(tuple(sentences), patch)


def _of_master(taint: Object) -> bool:
    return (taint["key"], taint["effect"]) == (CONTROL_PLANE, NO_SCHEDULE)


def _brought(item: Object) -> frozenset[str]:
    """Labels, not of Kubernetes' own domains, that the node's kubelet or we have put there."""
    found: set[str] = set()
    for entry in item["metadata"].get("managedFields") or ():
        if entry.get("manager") in ("kubelet", FIELD_MANAGER):
            fields = (entry.get("fieldsV1") or {}).get("f:metadata", {}).get("f:labels", {})
            found |= {key.removeprefix("f:") for key in fields}
    return frozenset(key for key in found if not key.partition("/")[0].endswith(KUBERNETES))


def part_of(item: Object) -> IPv4Network | None:
    """The node's part of the pods' network; None while it has none."""
    text = (item.get("spec") or {}).get("podCIDR")
    found = ip_network(text) if text else None
    return found if isinstance(found, IPv4Network) else None


def bridge_trouble(bridge: str, item: Object, links: Mapping[str, Sequence[str]]) -> str:
    """Why new pods cannot start on a node: its bridge has an address of another part; "" for no reason.

    The CNI plugin never changes the address of a bridge that is there (containernetworking/plugins, bridge).
    """
    part = part_of(item)
    wrong = [own for own in links.get(bridge, ()) if part and ip_interface(own).ip not in part]
    return f"{bridge} has {wrong[0]}, and the node's part of the pods' network is {part}" if wrong else ""


@dataclass(frozen=True)
class OverlayTrouble:
    """Why pods of a node do not reach those of others; `other` is the node to which a route is missing."""

    why: str
    other: str = ""


def overlay_trouble(
    overlay: str,
    name: str,
    items: Mapping[str, Object],
    links: Mapping[str, Sequence[str]],
    routes: Mapping[str, str],
) -> OverlayTrouble | None:
    """What is wrong with the address or the routes of a node's end of the overlay; None for nothing."""
    part = part_of(items[name])
    if part is None:
        return None
    if overlay not in links:
        return OverlayTrouble(f"{overlay} is not there")
    own = f"{part.network_address}/32"
    if own not in links[overlay]:
        held = ", ".join(links[overlay]) or "no address"
        return OverlayTrouble(f"{overlay} has {held}, and {own} is the node's")
    for other, theirs in _ready_parts(items):
        if other != name and routes.get(str(theirs)) != overlay:
            return OverlayTrouble(f"there is no route to {theirs} ({other}) by {overlay}", other)
    return None


def _ready_parts(items: Mapping[str, Object]) -> Iterator[tuple[str, IPv4Network]]:
    """Parts of nodes that are Ready: one that never was has no end of the overlay."""
    for name, item in items.items():
        part = part_of(item)
        if part and is_ready(item):
            yield name, part


def cordoned(item: Object) -> bool:
    """Whether no pod is placed on the node because somebody said so."""
    return bool((item.get("spec") or {}).get("unschedulable"))
