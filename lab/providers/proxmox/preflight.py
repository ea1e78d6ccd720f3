"""Whether a Proxmox VE cluster can take a lab: all that speaks against it, at once; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from lab.errors import PlumblineError, PreflightError
from lab.inventory.models import Inventory
from lab.inventory.proxmox import Proxmox
from lab.machines import Machine, Problem, State
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.fleet import Fleet
from lab.providers.proxmox.rights import missing, needs
from lab.providers.proxmox.snippets import SnippetFolder
from lab.providers.proxmox.templates import Templates, Wanted

OLDEST, NEWEST = (8, 4), 9
"""Importing qcow2 images through the API came with libpve-storage 8.3.6, that is 8.4."""
FILES = ("dir", "nfs", "cifs", "cephfs", "btrfs", "glusterfs")
"""Storages that can hold images to import, and snippets: those with files."""
REPLICATED = "zfspool"
"""The one type of storage that Proxmox VE replicates between nodes (pvesr): HA may start from the replica."""


def preflight(
    api: ProxmoxApi,
    fleet: Fleet,
    templates: Templates,
    inventory: Inventory,
    settings: Proxmox,
    machines: Iterable[Machine],
) -> list[Problem]:
    """All reasons not to start. What a token without rights would misjudge is asked after its rights."""
    try:
        major, minor = api.version
    except PlumblineError as error:
        wanted = "Proxmox VE answers, with this certificate and token"
        return [Problem(api.where, error.message, wanted, error.next_step or "check proxmox.host and port")]
    if (major, minor) < OLDEST or major > NEWEST:
        return [Problem(api.where, f"Proxmox VE {major}.{minor}", "8.4 to 9", "upgrade Proxmox VE")]
    lacking = missing(needs(inventory, settings, major), api.get("access/permissions"), settings.token)
    if lacking:
        return lacking
    made = list(machines)
    absent = [item for item in made if fleet.find(item.name)[0] is State.ABSENT]
    nodes = sorted({inventory.hosts[item.name].hypervisor or "" for item in made})
    known = {item["node"]: item.get("status") for item in api.get("nodes")}
    found = [
        Problem(
            f"hypervisors.{node}",
            known.get(node) or "unknown to this cluster",
            f"one of {', '.join(known)}, online",
            "write the names that Proxmox VE shows, or bring the node back",
        )
        for node in nodes
        if known.get(node) != "online"
    ]
    reachable = [node for node in nodes if known.get(node) == "online"]
    for node in reachable:
        found += _storages(api, settings, node)
        found += _bridge(api, node, inventory.hypervisors[node].bridge)
        found += _capacity(api, inventory, node, made)
    found += _snippets(settings, reachable)
    found += _pool(api, settings)
    found += _numbers(fleet, inventory, made, absent)
    if not found:
        found += _images(templates, inventory, settings, absent)
    return found


def _storages(api: ProxmoxApi, settings: Proxmox, node: str) -> Iterator[Problem]:
    there = {item["storage"]: item for item in api.get(f"nodes/{node}/storage")}
    wanted = (
        ("storage", settings.storage, "images"),
        ("image_storage", settings.image_storage, "import"),
        ("snippets.storage", settings.snippets.storage, "snippets"),
    )
    for field, name, content in wanted:
        subject = f"proxmox.{field} {name} on {node}"
        storage = there.get(name)
        if storage is None:
            yield Problem(
                subject, "no such storage", f"one of {', '.join(there)}", f"correct proxmox.{field}"
            )
            continue
        if not storage.get("active") or not storage.get("enabled", 1):
            yield Problem(subject, "not active", "active", f"pvesm set {name} --disable 0; pvesm status")
        kinds = str(storage["content"]).split(",")
        if content != "images" and storage["type"] not in FILES:
            yield Problem(
                subject, f"type {storage['type']}", "a storage with files", f"correct proxmox.{field}"
            )
        elif content not in kinds:
            fix = f"pvesm set {name} --content {','.join(sorted({*kinds, content}))}"
            yield Problem(subject, f"content {storage['content']}", f"content {content}", fix)
        elif (
            field == "storage"
            and settings.ha
            and not (storage.get("shared") or storage["type"] == REPLICATED)
        ):
            fix = "set proxmox.ha: false, or name a shared storage in proxmox.storage"
            yield Problem(subject, "not shared", "a storage that the node which takes over sees", fix)


def _snippets(settings: Proxmox, nodes: list[str]) -> Iterator[Problem]:
    folders = [SnippetFolder(settings.snippets, node) for node in nodes]
    for text, folder in {folder.text: folder for folder in folders}.items():
        try:
            folder.refuse_unusable()
        except PlumblineError as error:
            subject = f"proxmox.snippets.folder {text}"
            yield Problem(subject, error.message, "a folder that can be written from here", error.next_step)


def _bridge(api: ProxmoxApi, node: str, bridge: str) -> Iterator[Problem]:
    there = [item["iface"] for item in api.get(f"nodes/{node}/network", type="any_bridge")]
    if bridge not in there:
        seen = f"bridges {', '.join(there) or 'none'}"
        yield Problem(f"hypervisors.{node}.bridge", seen, bridge, "write one of these, or make the bridge")


def _capacity(api: ProxmoxApi, inventory: Inventory, node: str, made: list[Machine]) -> Iterator[Problem]:
    status: dict[str, Any] = api.get(f"nodes/{node}/status")
    ours = [item for item in made if inventory.hosts[item.name].hypervisor == node]
    cores, free = int(status["cpuinfo"]["cpus"]), int(status["memory"]["free"]) // 2**20
    for item in ours:
        if item.cpus > cores:
            yield Problem(f"hosts.{item.name}.cpus", f"{node} has {cores}", str(item.cpus), f"write {cores}")
    need = sum(item.memory_mib for item in ours)
    if need > free:
        wanted = f"{need} MiB for {len(ours)} machines"
        yield Problem(
            f"memory of {node}", f"{free} MiB free", wanted, "stop other machines, or use smaller ones"
        )


def _pool(api: ProxmoxApi, settings: Proxmox) -> Iterator[Problem]:
    if settings.pool and settings.pool not in [item["poolid"] for item in api.get("pools")]:
        fix = f"pveum pool add {settings.pool}"
        yield Problem(f"proxmox.pool {settings.pool}", "no such pool", "a pool that exists", fix)


def _numbers(
    fleet: Fleet, inventory: Inventory, made: list[Machine], absent: list[Machine]
) -> Iterator[Problem]:
    for item in made:
        try:
            fleet.refuse_stranger(item.name)
        except PreflightError as error:
            yield Problem(f"hosts.{item.name}", error.message, "free, or ours", error.next_step)
    for item in absent:
        vmid = inventory.hosts[item.name].vmid
        if vmid is not None and not fleet.is_free(vmid):
            seen = "taken by a machine that this token may not see"
            yield Problem(f"hosts.{item.name}.vmid {vmid}", seen, "free", "write another number, or none")


def _images(
    templates: Templates, inventory: Inventory, settings: Proxmox, absent: list[Machine]
) -> Iterator[Problem]:
    systems = Counter(inventory.hosts[item.name].os for item in absent)
    for system in systems:
        if system not in settings.images:
            fix = f"add proxmox.images.{system} with url and checksum"
            yield Problem(f"proxmox.images.{system}", "missing", "the image of its machines", fix)
    for host in {
        (inventory.hosts[item.name].os, inventory.hosts[item.name].hypervisor or "") for item in absent
    }:
        row = templates.find(Wanted(*host))
        if row and not row.template and row.lock:
            seen = f"machine {row.vmid} is locked ({row.lock})"
            yield Problem(f"template of {host[0]}", seen, "finished", "wait for its task, or qm unlock it")
