"""The cluster the double stands for, and one request at work on it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.doubles.pve.access import Access, Caller
from tests.doubles.pve.answers import ApiError, forbidden, missing_vm
from tests.doubles.pve.backing import Backing, Simulated
from tests.doubles.pve.clock import Clock, RealClock
from tests.doubles.pve.faults import Faults
from tests.doubles.pve.journal import Journal
from tests.doubles.pve.state import Node, Pool, Storage, Vm, Vnet, Volume
from tests.doubles.pve.tasks import Task, Tasks

VERSIONS = {
    8: {"version": "8.4.1", "release": "8.4", "repoid": "2a5fa54a8503f96d"},
    9: {"version": "9.0.3", "release": "9.0", "repoid": "025864202ebb6109"},
}


@dataclass(frozen=True)
class Image:
    """A file on a web server: what its checksum is of, its size in bytes, and the disk in it."""

    data: bytes
    size: int
    virtual_size: int


class World:
    """One cluster. `lock` is held while a request is answered: nobody sees half a change."""

    def __init__(
        self,
        *,
        major: int = 8,
        clock: Clock | None = None,
        backing: Backing | None = None,
        task_seconds: float = 0.0,
    ) -> None:
        self.major = major
        self.clock: Clock = clock or RealClock()
        self.backing: Backing = backing or Simulated(self.clock)
        self.lock = threading.RLock()
        self.faults, self.journal = Faults(), Journal()
        self.access = Access(self.clock, major)
        self.tasks = Tasks(self.clock, self.faults, self.journal, task_seconds)
        self.nodes: dict[str, Node] = {}
        self.storages: dict[str, Storage] = {}
        self.vms: dict[int, Vm] = {}
        self.pools: dict[str, Pool] = {}
        self.ha_resources: dict[str, dict[str, Any]] = {}
        self.ha_groups: dict[str, dict[str, Any]] = {}
        self.ha_rules: dict[str, dict[str, Any]] = {}
        self.web: dict[str, Image] = {}
        self.broadcast_seconds = 10.0
        """How often a node tells the cluster what its VMs do (pvestatd); the cluster's list is that old."""
        self.broadcast: dict[int, dict[str, Any]] = {}
        self.broadcast_at = 0.0
        self.vnets: dict[str, Vnet] = {}
        self.other_names: set[str] = set()
        """Names that resolve and are no node's: a node asks there, and does not trust who answers."""
        self.snippets: dict[str, Path] = {}
        """Snippets of a storage, by its name; no API call can put a file there. In here is a folder for each
        node, which only this node reads; on a shared storage, the files themselves."""

    def changed(self, what: str, whose: object) -> None:
        """Note a change in the journal."""
        self.journal.changed(self.clock.now(), what, str(whose))

    def put_snippets(self, storage: str, folder: Path) -> None:
        """Keep a storage's snippets below this folder, from here on; each node's own is made."""
        self.snippets[storage] = folder
        for node in self.nodes:
            (folder / node).mkdir(parents=True, exist_ok=True)

    def snippets_on(self, node: str) -> dict[str, Path]:
        """The folders of snippets that a node reads, by storage."""
        return {
            name: folder if self.storages[name].shared else folder / node
            for name, folder in self.snippets.items()
        }

    def zone_of(self, bridge: str) -> str:
        """The SDN zone whose rights count for a bridge or VNet (pve-guest-common, check_vnet_access)."""
        return self.vnets[bridge].zone if bridge in self.vnets else "localnetwork"

    def move(self, vm: Vm, node: str) -> None:
        """A VM is on another node, as after a migration: with its disks, without its snippets."""
        for storage in self.storages.values():
            if not storage.shared:
                held = storage.on(vm.node)
                own = {volid: volume for volid, volume in held.items() if volume.vmid == vm.vmid}
                storage.on(node).update(own)
                for volid in own:
                    del held[volid]
        vm.node = node
        self.changed("vm moved", f"{vm.vmid} {node}")

    def volume(self, node: str, volid: str) -> Volume | None:
        """The volume of that id as a node sees it."""
        storage = self.storages.get(volid.partition(":")[0])
        return storage.on(node).get(volid) if storage else None

    def volumes(self) -> list[Volume]:
        """Every volume of every storage and node."""
        return [
            volume
            for storage in self.storages.values()
            for held in storage.volumes.values()
            for volume in held.values()
        ]

    def orphans(self) -> list[str]:
        """What nobody owns: disks of VMs that are not there or do not use them, and locks without a task."""
        used = {words["file"] for vm in self.vms.values() for words in vm.drives().values()}
        used |= {
            value for vm in self.vms.values() for key, value in vm.config.items() if key.startswith("unused")
        }
        lost = [volume.volid for volume in self.volumes() if volume.vmid and volume.volid not in used]
        locked = [vm for vm in self.vms.values() if vm.lock and not self.tasks.holder(frozenset({vm.vmid}))]
        return lost + [f"VM {vm.vmid}: lock {vm.lock}" for vm in locked]


@dataclass(frozen=True)
class Call:
    """One request that passed authentication, permission check and validation."""

    world: World
    caller: Caller
    arguments: Mapping[str, Any]
    upload: bytes = b""

    @property
    def node(self) -> Node:
        """The node of the path. Raises `ApiError` for one that is not in the cluster."""
        name = str(self.arguments["node"])
        node = self.world.nodes.get(name)
        if node is None:
            why = f"failed to get address info for: {name}: Name or service not known"
            raise ApiError(500, f"hostname lookup '{name}' failed - {why}")
        return node

    @property
    def vm(self) -> Vm:
        """The VM of the path. Raises `ApiError` when it is not on this node."""
        vmid = int(self.arguments["vmid"])
        vm = self.world.vms.get(vmid)
        if vm is None or vm.node != self.node.name:
            raise missing_vm(self.node.name, vmid)
        return vm

    def storage(self, name: str) -> Storage:
        """A storage that this node has. Raises `ApiError`."""
        storage = self.world.storages.get(name)
        if storage is None:
            raise ApiError(500, f"storage '{name}' does not exist")
        if not storage.usable_on(self.node.name):
            why = f"not available on node '{self.node.name}'" if storage.enabled else "disabled"
            raise ApiError(500, f"storage '{name}' is {why}")
        return storage

    def allows(self, path: str, *privileges: str, any_of: bool = False) -> bool:
        return self.world.access.allows(self.caller, path, *privileges, any_of=any_of)

    def require(self, path: str, *privileges: str, any_of: bool = False) -> None:
        """Raise `ApiError` 403 for the first privilege that is missing."""
        if any_of:
            if not self.allows(path, *privileges, any_of=True):
                raise forbidden(path, *privileges)
            return
        for privilege in privileges:
            if not self.allows(path, privilege):
                raise forbidden(path, privilege)

    def require_vm(self, *privileges: str, any_of: bool = False) -> None:
        """The same for the VM asked for; one that is to join a pool may have them from it (check_vm_perm)."""
        pool = f"/pool/{self.arguments.get('pool')}"
        if self.arguments.get("pool") and self.allows(pool, *privileges, any_of=any_of):
            return
        self.require(f"/vms/{self.arguments['vmid']}", *privileges, any_of=any_of)

    def start(
        self,
        kind: str,
        id: object,
        effect: Callable[[Task], None],
        *,
        undo: Callable[[], None] | None = None,
        holds: frozenset[int] = frozenset(),
        seconds: float | None = None,
    ) -> str:
        """Begin a task of this caller on this node; gives back its UPID."""
        return self.world.tasks.start(
            self.node.name, kind, str(id), str(self.caller), effect, undo=undo, holds=holds, seconds=seconds
        )

    def now(self) -> float:
        return self.world.clock.now()


Handler = Callable[[Call], Any]


@dataclass
class Handlers:
    """What answers each endpoint, by `METHOD /path/{template}`."""

    of: dict[str, Handler] = field(default_factory=dict)

    def __call__(self, endpoint: str) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            self.of[endpoint] = handler
            return handler

        return register


answers = Handlers()
