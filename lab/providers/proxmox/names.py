"""Whether what an inventory names is there: nodes, storages, the pool, bridges and VNets.

Asked before rights: a right on a name that does not exist is never held, and "not granted" would send people
the wrong way. A list shows only what the token may see, so a name is called missing where it would be seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from lab.inventory.models import Inventory
from lab.inventory.types import PLAIN_BRIDGES
from lab.machines import Blocker
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.rights import held, network_path
from lab.providers.proxmox.section import Proxmox

Permissions = Mapping[str, Mapping[str, int]]


@dataclass
class Names:
    """What was found about names.

    `unknown` are paths of rights whose object does not exist; `seen` tells of the other paths what the token
    sees there instead.
    """

    blockers: list[Blocker] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    seen: dict[str, str] = field(default_factory=dict)

    def judge(self, path: str, there: Iterable[str], visible: bool, missing: Blocker) -> None:
        """Note a name that is not in a list: it does not exist, or this token may not see it."""
        if visible:
            self.blockers.append(missing)
            self.unknown.add(path)
        else:
            self.seen[path] = f"not granted; what this token sees there: {', '.join(there) or 'nothing'}"


def check_names(
    api: ProxmoxApi,
    inventory: Inventory,
    settings: Proxmox,
    nodes: Mapping[str, str | None],
    permissions: Permissions,
) -> Names:
    """Judge all names. `nodes` are the needed hypervisors with their status; None for one that is unknown."""
    found = Names()
    every = [item["node"] for item in api.get("nodes")]
    for node, status in nodes.items():
        if status != "online":
            found.blockers.append(_node(node, status, every))
        if status is None:
            found.unknown.add(f"/nodes/{node}")
    _storages(api, settings, permissions, found)
    if settings.pool:
        pools = [item["poolid"] for item in api.get("pools")]
        path = f"/pool/{settings.pool}"
        if settings.pool not in pools:
            fix = _fix(settings.pool, pools, f"pveum pool add {settings.pool}")
            missing = Blocker(f"proxmox.pool {settings.pool}", "no such pool", "a pool that exists", fix)
            found.judge(path, pools, held(permissions, path, "Pool.Audit"), missing)
    known = [node for node, status in nodes.items() if status is not None]
    for node in nodes:
        path = network_path(inventory, node)
        if all(network_path(inventory, other) != path for other in known):
            found.unknown.add(path)  # of nodes alone that do not exist
    return found


def check_network(
    inventory: Inventory, node: str, listed: Iterable[Mapping[str, Any]], permissions: Permissions
) -> Names:
    """Judge the bridge or VNet of one node; `listed` are those that the token sees there."""
    found = Names()
    hypervisor, path = inventory.hypervisors[node], network_path(inventory, node)
    there = {item["iface"]: item for item in listed}
    item = there.get(hypervisor.bridge)
    if item is None:
        visible = held(permissions, path, "SDN.Use")
        place = "" if hypervisor.zone == PLAIN_BRIDGES else f" in zone {hypervisor.zone}"
        fix = _fix(hypervisor.bridge, there, "write one of these, or make it; a VNet needs its zone, too")
        missing = Blocker(
            f"hypervisors.{node}.bridge",
            f"bridges and VNets {', '.join(there) or 'none'}",
            f"{hypervisor.bridge}{place}",
            fix,
        )
        found.judge(path, there, visible, missing)
    else:
        found.blockers += _kind(inventory, node, item)
    return found


def _kind(inventory: Inventory, node: str, item: Mapping[str, Any]) -> Iterator[Blocker]:
    """A VNet is in a zone, a bridge in none; a VNet takes a VLAN tag only when it is VLAN-aware."""
    hypervisor, subject = inventory.hypervisors[node], f"hypervisors.{node}"
    is_vnet = item["type"] == "vnet"
    if is_vnet and hypervisor.zone == PLAIN_BRIDGES:
        seen = f"missing; {hypervisor.bridge} is a VNet"
        fix = f"add hypervisors.{node}.zone: its zone in Datacenter, SDN, VNets"
        yield Blocker(f"{subject}.zone", seen, "the SDN zone of the VNet, where its rights are", fix)
    if not is_vnet and hypervisor.zone != PLAIN_BRIDGES:
        seen = f"{hypervisor.zone}; {hypervisor.bridge} is a bridge of {node} and no VNet"
        yield Blocker(f"{subject}.zone", seen, "no zone", f"leave out hypervisors.{node}.zone")
    if is_vnet and inventory.network.vlan and not item.get("vlanaware", 1):
        seen = f"VNet {hypervisor.bridge} is not VLAN-aware"
        fix = "leave out network.vlan, for the VNet has its own tag; or make it VLAN-aware: Datacenter, SDN"
        yield Blocker(f"network.vlan {inventory.network.vlan}", seen, "a VNet that takes tags", fix)


def _node(node: str, status: str | None, every: list[str]) -> Blocker:
    fix = "bring it back" if status else _fix(node, every, "write the names that Proxmox VE shows")
    seen = status or "unknown to this cluster"
    return Blocker(f"hypervisors.{node}", seen, f"one of {', '.join(every)}, online", fix)


def _storages(api: ProxmoxApi, settings: Proxmox, permissions: Permissions, found: Names) -> None:
    there = [item["storage"] for item in api.get("storage")]
    wanted = (
        ("storage", settings.storage),
        ("image_storage", settings.image_storage),
        ("snippets.storage", settings.snippets.storage),
    )
    for key, name in wanted:
        if name in there:
            continue
        path = f"/storage/{name}"
        visible = any(
            held(permissions, path, right) for right in ("Datastore.Audit", "Datastore.AllocateSpace")
        )
        fix = _fix(name, there, f"correct proxmox.{key}")
        missing = Blocker(
            f"proxmox.{key} {name}", "no such storage", f"one of {', '.join(there) or 'none'}", fix
        )
        found.judge(path, there, visible, missing)


def _fix(name: str, known: Iterable[str], otherwise: str) -> str:
    """What to write: the nearest known name, as of `pve-1.example.com` or `pve1` the node `pve-1`."""
    near = get_close_matches(name.partition(".")[0], list(known), 1, 0.7)
    return f"write {near[0]}" if near else otherwise
