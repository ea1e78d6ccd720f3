"""Templates: a cloud image, imported once on each hypervisor node, or once where nodes share a storage."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from lab.errors import FailedError, InputError
from lab.inventory.types import System
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.fleet import Fleet, FleetRow
from lab.providers.proxmox.mark import TAG, ProxmoxMark
from lab.providers.proxmox.plan import DISK
from lab.providers.proxmox.retry import BusyError, ProxmoxApiError, persist
from lab.providers.proxmox.section import CloudImage, Proxmox
from lab.providers.proxmox.tasks import Tasks
from lab.waits import NotYet

SECONDS = 1800.0
"""Fetching an image of some 700 MB and importing it; a slow line takes long."""


@dataclass(frozen=True)
class Wanted:
    """An image as a template on a node."""

    system: System
    node: str

    def owner(self, image: CloudImage) -> str:
        """What the template's mark says: a new image is a new template."""
        return f"{self.system}-{image.checksum.partition(':')[2][:12]}"


class Templates:
    """The templates of one cluster; they belong to all labs, and outlive them."""

    def __init__(self, api: ProxmoxApi, tasks: Tasks, fleet: Fleet, settings: Proxmox) -> None:
        self._api, self._tasks, self._fleet, self._settings = api, tasks, fleet, settings
        self._numbers = threading.Lock()

    def image(self, system: System) -> CloudImage:
        """The inventory's image of an operating system. Raises `InputError` when it names none."""
        if system not in self._settings.images:
            raise InputError(
                f"proxmox.images.{system}: missing: there is no template of it yet",
                next_step=f"add proxmox.images.{system} with url and checksum to the inventory",
            )
        return self._settings.images[system]

    def find(self, wanted: Wanted) -> FleetRow | None:
        """The template that serves a node, finished or not."""
        if wanted.system not in self._settings.images:
            return None
        rows = self._fleet.templates().get(wanted.owner(self.image(wanted.system)), [])
        return next((row for row in rows if row.node == wanted.node or self.shared(wanted.node)), None)

    def shared(self, node: str) -> bool:
        """Whether all nodes see the machines' storage."""
        return bool(self._storage(node, self._settings.storage).get("shared"))

    def provide(self, wanted: Iterable[Wanted]) -> bool:
        """Make what is missing, different nodes at the same time. True when something was made."""
        missing: dict[str, Wanted] = {}
        for item in wanted:
            row = self.find(item)
            if row is None or not row.template:
                place = "" if self.shared(item.node) else item.node
                missing.setdefault(f"{item.owner(self.image(item.system))} {place}", item)
        # two templates on one node would fetch at the same time what may be the same image
        nodes = {item.node for item in missing.values()}
        with ThreadPoolExecutor(max(1, len(nodes))) as pool:
            list(pool.map(lambda node: self._on_node(missing.values(), node), sorted(nodes)))
        return bool(missing)

    def remove(self) -> list[str]:
        """Remove all templates that Plumbline made; those with linked clones are refused by Proxmox VE."""
        found = [row for rows in self._fleet.templates().values() for row in rows]

        def step(row: FleetRow) -> bool | None:
            self._fleet.changed()
            if row.vmid not in self._fleet.rows():
                return True
            self._tasks.follow(self._api.delete(row.path, purge=1), seconds=SECONDS)
            self._fleet.forget(row.vmid)
            return None

        for row in found:
            persist(f"removing template {row.vmid}", partial(step, row), seconds=SECONDS)
        return [f"{row.name} ({row.vmid} on {row.node})" for row in found]

    def _on_node(self, wanted: Iterable[Wanted], node: str) -> None:
        for item in wanted:
            if item.node == node:
                self._make(item, self.image(item.system))

    def _make(self, wanted: Wanted, image: CloudImage) -> None:
        volume = self._fetch(wanted, image)
        chosen: list[int] = []
        self._settled(wanted)

        def step() -> FleetRow | None:
            row = self.find(wanted)
            if row is None and chosen and self._settled(wanted):
                return None  # a lost call of ours, perhaps: the template is looked for again
            if row is None:
                self._create(wanted, image, volume, chosen)
            elif row.lock:
                raise NotYet(f"machine {row.vmid} is locked ({row.lock})")
            elif row.template:
                return row
            elif DISK in self._api.get(f"{row.path}/config"):
                self._tasks.follow(self._api.post(f"{row.path}/template"), seconds=SECONDS)
            else:
                self._tasks.follow(self._api.delete(row.path, purge=1), seconds=SECONDS)
                self._fleet.forget(row.vmid)
            return None

        def fresh() -> FleetRow | None:
            self._fleet.changed()
            return step()

        persist(f"template of {wanted.system} on {wanted.node}", fresh, seconds=SECONDS)
        self._fleet.changed()

    def _settled(self, wanted: Wanted) -> bool:
        """Wait for machines in the making on this node: they have no mark before their end."""
        token = self._settings.token
        return self._tasks.settle(wanted.node, "qmcreate", lambda task: task.user == token)

    def _create(self, wanted: Wanted, image: CloudImage, volume: str, chosen: list[int]) -> None:
        """Ask for the machine once; the number stays the same, so that a second question is refused."""
        with self._numbers:
            again = bool(chosen)
            chosen[:] = chosen or [self._fleet.next_number()]
            owner = wanted.owner(image)
            store = self._settings.storage
            parameters: dict[str, Any] = {
                "vmid": chosen[0],
                "name": f"plumbline-{owner}".replace(".", ""),
                "description": str(ProxmoxMark("template", owner, owner, chosen[0])),
                "tags": f"{TAG};{TAG}-template",
                "ostype": "l26",
                "cpu": "host",
                "cores": 2,
                "memory": 2048,
                "scsihw": "virtio-scsi-single",
                DISK: f"{store}:0,import-from={volume},discard=on,iothread=1,ssd=1",
                "ide2": f"{store}:cloudinit",
                "boot": f"order={DISK}",
                # no network card: whoever clones one needs a right on its bridge, and each clone gets its own
                "serial0": "socket",
                "vga": "serial0",
                "agent": "enabled=1",
            } | ({"pool": self._settings.pool} if self._settings.pool else {})
            try:
                started = self._api.post(f"nodes/{wanted.node}/qemu", parameters)
            except ProxmoxApiError as error:
                if not error.says("already exists"):
                    raise
                if not again or chosen[0] in self._fleet.rows():
                    chosen.clear()  # somebody else was faster
                raise BusyError(error.message) from error
        self._tasks.follow(started, seconds=SECONDS)

    def _fetch(self, wanted: Wanted, image: CloudImage) -> str:
        """The image on the hypervisor's storage, fetched by it and compared with its checksum by it."""
        store, node = self._settings.image_storage, wanted.node
        volume = f"{store}:import/{wanted.owner(image)}.qcow2"
        algorithm, _, digits = image.checksum.partition(":")
        parameters = {
            "content": "import",
            "filename": volume.rpartition("/")[2],
            "url": image.url,
            "checksum": digits,
            "checksum-algorithm": algorithm,
        }

        def step() -> bool | None:
            content = self._api.get(f"nodes/{node}/storage/{store}/content", content="import")
            if any(item["volid"] == volume for item in content):
                return True
            # its task is named after the file: another lab's, or ours whose answer was lost
            running = [
                task.text
                for task in self._tasks.running(node, "download")
                if task.about == parameters["filename"]
            ]
            started = (
                running[0]
                if running
                else self._api.post(f"nodes/{node}/storage/{store}/download-url", parameters)
            )
            self._tasks.follow(started, seconds=SECONDS)
            return None

        persist(f"image of {wanted.system} on {node}", step, seconds=SECONDS)
        return volume

    def _storage(self, node: str, name: str) -> dict[str, Any]:
        found = [item for item in self._api.get(f"nodes/{node}/storage") if item["storage"] == name]
        if not found:
            raise FailedError(f"{node}: has no storage {name}", next_step="invoke preflight")
        return dict(found[0])
