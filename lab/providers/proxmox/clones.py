"""Clones of templates: one at a time from each, asked for once, never made twice.

Until a clone is done, Proxmox VE shows its number and its lock alone: no name, no mark, and where rights are
given on a pool, nothing at all, because it enters the pool at its end. Only its task tells that it is coming.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from lab.errors import FailedError, PreflightError
from lab.inventory.models import Inventory
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.fleet import Fleet, FleetRow
from lab.providers.proxmox.mark import ProxmoxMark
from lab.providers.proxmox.retry import BusyError, ProxmoxApiError
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.tasks import Tasks
from lab.providers.proxmox.templates import Templates, Wanted

TASK_SECONDS = 900.0


@dataclass
class Work:
    """What has been done so far to bring one machine about.

    `sent`: its number has been asked for. `row`: where it was last; whether it is there, looking tells.
    """

    number: int | None
    row: FleetRow | None = None
    sent: bool = False
    started: bool = False
    changed: bool = False


class Clones:
    """Makes clones for one lab. Threads may share it."""

    def __init__(
        self,
        api: ProxmoxApi,
        tasks: Tasks,
        fleet: Fleet,
        templates: Templates,
        inventory: Inventory,
        settings: Proxmox,
    ) -> None:
        self._api, self._tasks, self._fleet, self._templates = api, tasks, fleet, templates
        self._inventory, self._settings = inventory, settings
        self._numbers = threading.Lock()
        self._cloning: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def settle(self) -> None:
        """Wait for clones that a killed build has begun: afterwards, what is not to be seen is not there."""
        for rows in self._fleet.templates().values():
            for row in rows:
                self._settled(row)
        self._fleet.changed()

    def make(self, name: str, work: Work) -> None:
        """Ask for the clone once, alone on its template, and wait for its end.

        Raises `BusyError` when the machines are to be read again, `FailedError` without a template.
        """
        host = self._inventory.hosts[name]
        node = host.hypervisor or ""
        template = self._templates.find(Wanted(host.os, node))
        if template is None or not template.template:
            raise FailedError(
                f"{name}: there is no template of {host.os} for {node}", next_step="invoke build"
            )
        with self._cloning[template.vmid]:
            if work.sent and self._settled(template):
                self._fleet.changed()
                return  # a lost call of ours, perhaps: the machine is looked for again
            self._tasks.follow(self._ask(name, work, template, node), seconds=TASK_SECONDS)
        self._fleet.changed()
        work.row = replace(template, vmid=work.number or 0, node=node, name=name, template=False)

    def _settled(self, template: FleetRow) -> bool:
        return self._tasks.settle(template.node, "qmclone", lambda task: task.about == str(template.vmid))

    def _ask(self, name: str, work: Work, template: FleetRow, node: str) -> Any:
        with self._numbers:
            number = work.number or self._fleet.next_number()
            parameters: dict[str, Any] = {
                "newid": number,
                "name": name,
                "description": str(ProxmoxMark("lab", self._inventory.lab, name, number)),
                "full": int(self._settings.clone == "full"),
            }
            if node != template.node:
                parameters["target"] = node
            if self._settings.clone == "full":
                parameters["storage"] = self._settings.storage
            if self._settings.pool:
                parameters["pool"] = self._settings.pool
            again, work.number, work.sent = work.sent, number, True
            try:
                return self._api.post(f"{template.path}/clone", parameters)
            except ProxmoxApiError as error:
                if not error.says("already exists"):
                    raise
                self._taken(name, number, work, again, error)

    def _taken(self, name: str, number: int, work: Work, again: bool, error: ProxmoxApiError) -> None:
        """The number exists: our own lost call may have made it, else somebody else was faster."""
        self._fleet.changed()
        row = self._fleet.rows().get(number)
        mark = self._fleet.mark(row) if row else None
        if again and (row is None or row.lock or (mark and mark.name == name)):
            raise BusyError(error.message) from error  # looked at again: it is ours, or not yet known
        if self._inventory.hosts[name].vmid is not None:
            raise PreflightError(
                f"hosts.{name}.vmid: {number} is taken by a machine that this token may not see",
                next_step=f"write another hosts.{name}.vmid, or leave it out",
            ) from error
        work.number, work.sent = None, False
        raise BusyError(error.message) from error
