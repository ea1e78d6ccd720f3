"""Whether a Proxmox VE cluster can take a lab: all that speaks against it, at once; changes nothing.

In this order: does the API answer, are the names right, are the rights held. What a token without rights, or
a name that does not exist, would make look missing is asked after that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from lab.errors import PlumblineError, PreflightError
from lab.inventory.models import Inventory
from lab.machines import Blocker, Machine, State
from lab.providers.proxmox import room
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.fleet import Fleet
from lab.providers.proxmox.names import Names, Permissions, check_names, check_network
from lab.providers.proxmox.rights import missing, needs
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.snippets import SnippetFolder
from lab.providers.proxmox.storages import check_storages
from lab.providers.proxmox.templates import Templates, Wanted

OLDEST, NEWEST = (8, 4), 9
"""Importing qcow2 images through the API came with libpve-storage 8.3.6, that is 8.4."""


def preflight(
    api: ProxmoxApi,
    fleet: Fleet,
    templates: Templates,
    inventory: Inventory,
    settings: Proxmox,
    machines: Iterable[Machine],
) -> list[Blocker]:
    """All reasons not to start, and warnings."""
    try:
        major, minor = api.version
    except PlumblineError as error:
        wanted = "Proxmox VE answers, with this certificate and token"
        return [Blocker(api.where, error.message, wanted, error.next_step or "check proxmox.host and port")]
    if (major, minor) < OLDEST or major > NEWEST:
        return [Blocker(api.where, f"Proxmox VE {major}.{minor}", "8.4 to 9", "upgrade Proxmox VE")]
    made = list(machines)
    known = {item["node"]: item.get("status") for item in api.get("nodes")}
    homes = sorted({inventory.hosts[item.name].hypervisor or "" for item in made})
    permissions: Permissions = api.get("access/permissions") or {}
    names = check_names(api, inventory, settings, {node: known.get(node) for node in homes}, permissions)
    online = [node for node in homes if known.get(node) == "online"]
    silent = _networks(api, inventory, online, permissions, names)
    wanted_rights = [need for need in needs(inventory, settings, major) if need.path not in names.unknown]
    lacking = missing(wanted_rights, permissions, settings.token, names.seen)
    if lacking:
        return [*names.blockers, *lacking]
    reachable = [node for node in online if node not in silent]
    try:
        found = _cluster(api, fleet, templates, inventory, settings, made, reachable, names)
    except PlumblineError:
        if not names.blockers:
            raise
        return names.blockers  # a node that is told of there is why the machines cannot be looked at
    return names.blockers + found


def _networks(
    api: ProxmoxApi, inventory: Inventory, nodes: list[str], permissions: Permissions, names: Names
) -> set[str]:
    """Judge each node's bridge or VNet; gives back the nodes that do not answer, which are told too."""
    silent = set()
    for node in nodes:
        try:
            found = check_network(
                inventory, node, api.get(f"nodes/{node}/network", type="any_bridge"), permissions
            )
        except PlumblineError as error:
            silent.add(node)
            seen, fix = error.message, error.next_step or "invoke preflight again"
            names.blockers.append(Blocker(f"hypervisors.{node}", seen, "a node that answers", fix))
            continue
        names.blockers += found.blockers
        names.unknown |= found.unknown
        names.seen |= found.seen
    return silent


def _cluster(
    api: ProxmoxApi,
    fleet: Fleet,
    templates: Templates,
    inventory: Inventory,
    settings: Proxmox,
    made: list[Machine],
    nodes: list[str],
    names: Names,
) -> list[Blocker]:
    """What a token with all its rights sees, on the nodes that answer."""
    absent = [item for item in made if fleet.find(item.name)[0] is State.ABSENT]
    places = {item.name: _place(fleet, inventory, item.name) for item in made}
    by_node = {node: [item for item in made if places[item.name] == node] for node in nodes}
    new = {node: [item for item in absent if item in by_node[node]] for node in nodes}
    found: list[Blocker] = []
    storages: dict[str, dict[str, dict[str, Any]]] = {}
    for node in nodes:
        storages[node] = {item["storage"]: item for item in api.get(f"nodes/{node}/storage")}
        found += room.processors_and_memory(node, api.get(f"nodes/{node}/status"), by_node[node])
    found += check_storages(settings, storages, names.unknown)
    images = {node: len(_unmade(templates, inventory, settings, node, items)) for node, items in new.items()}
    found += room.disks(settings, storages, new, images)
    found += _snippets(settings, nodes)
    found += _numbers(fleet, inventory, made, absent)
    if not names.blockers and not any(item.stops for item in found):
        found += _images(templates, inventory, settings, absent)
    return found


def _place(fleet: Fleet, inventory: Inventory, name: str) -> str:
    """The node where a machine is, or will be made."""
    state, row = fleet.find(name)
    home = inventory.hosts[name].hypervisor or ""
    return row.node if row and state is not State.FOREIGN else home


def _unmade(
    templates: Templates, inventory: Inventory, settings: Proxmox, node: str, machines: Iterable[Machine]
) -> set[str]:
    """Operating systems of new machines on a node that have no template for it yet."""
    systems = {inventory.hosts[item.name].os for item in machines}
    served = (system for system in systems if system in settings.images)
    return {system for system in served if templates.find(Wanted(system, node)) is None}


def _snippets(settings: Proxmox, nodes: list[str]) -> Iterator[Blocker]:
    folders = [SnippetFolder(settings.snippets, node) for node in nodes]
    for text, folder in {folder.text: folder for folder in folders}.items():
        try:
            folder.refuse_unusable()
        except PlumblineError as error:
            subject = f"proxmox.snippets.folder {text}"
            yield Blocker(subject, error.message, "a folder that can be written from here", error.next_step)


def _numbers(
    fleet: Fleet, inventory: Inventory, made: list[Machine], absent: list[Machine]
) -> Iterator[Blocker]:
    for item in made:
        try:
            fleet.refuse_stranger(item.name)
        except PreflightError as error:
            yield Blocker(f"hosts.{item.name}", error.message, "free, or ours", error.next_step)
    for item in absent:
        vmid = inventory.hosts[item.name].vmid
        if vmid is not None and not fleet.is_free(vmid):
            seen = "taken by a machine that this token may not see"
            yield Blocker(f"hosts.{item.name}.vmid {vmid}", seen, "free", "write another number, or none")


def _images(
    templates: Templates, inventory: Inventory, settings: Proxmox, absent: list[Machine]
) -> Iterator[Blocker]:
    systems = Counter(inventory.hosts[item.name].os for item in absent)
    for system in systems:
        if system not in settings.images:
            fix = f"add proxmox.images.{system} with url and checksum"
            yield Blocker(f"proxmox.images.{system}", "missing", "the image of its machines", fix)
    for host in {
        (inventory.hosts[item.name].os, inventory.hosts[item.name].hypervisor or "") for item in absent
    }:
        row = templates.find(Wanted(*host))
        if row and not row.template and row.lock:
            seen = f"machine {row.vmid} is locked ({row.lock})"
            yield Blocker(f"template of {host[0]}", seen, "finished", "wait for its task, or qm unlock it")
