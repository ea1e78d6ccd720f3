"""Machines on Proxmox VE: brought from what they are to what they shall be, one safe step after the other.

Before each step the machine is read; nothing that is remembered decides. So a step whose answer was lost, a
build that was killed, and a first build are one and the same case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lab.errors import FailedError, PreflightError
from lab.inventory.models import Inventory
from lab.machines import Machine, State
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.clones import TASK_SECONDS, Clones, Work
from lab.providers.proxmox.config import checked_snippet, fields, vendor_file
from lab.providers.proxmox.fleet import Fleet, FleetRow
from lab.providers.proxmox.mark import ProxmoxMark, read_mark
from lab.providers.proxmox.plan import DISK, MachineStep, Seen, configuration, next_step
from lab.providers.proxmox.retry import BusyError, ProxmoxApiError, persist
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.snippets import NODE, SnippetFolder
from lab.providers.proxmox.tasks import Tasks
from lab.ssh import Keys
from lab.waits import NotYet

SECONDS = 1800.0
"""For one machine, the queue for its template included; a full clone of 100 GiB takes minutes."""
VENDOR_DATA = "vendor-data"


class Machines:
    """Makes and removes machines of one lab. Threads may share it."""

    def __init__(
        self,
        api: ProxmoxApi,
        tasks: Tasks,
        fleet: Fleet,
        clones: Clones,
        inventory: Inventory,
        settings: Proxmox,
        keys: Keys,
    ) -> None:
        self._api, self._tasks, self._fleet, self._clones = api, tasks, fleet, clones
        self._inventory, self._settings, self._keys = inventory, settings, keys

    def wanted(self, name: str, vmid: int) -> dict[str, Any]:
        """The whole configuration of a host's machine."""
        mark = ProxmoxMark("lab", self._inventory.lab, name, vmid)
        return fields(self._inventory, name, self._keys) | {"description": str(mark)}

    def create(self, machine: Machine) -> bool:
        """Make the machine, or change it to what the inventory says, and switch it on. True when changed.

        Raises `PreflightError` when its name or number is somebody else's.
        """
        self._fleet.refuse_stranger(machine.name)
        work = Work(self._inventory.hosts[machine.name].vmid)
        persist(machine.name, lambda: self._advance(machine, work), seconds=SECONDS)
        self._fleet.changed()
        return work.changed

    def destroy(self, name: str) -> bool:
        """Remove the machine with its disks, then its snippet. True when there was one."""
        removed = []

        def step() -> bool | None:
            self._fleet.changed()
            self._fleet.refuse_stranger(name)
            _, row = self._fleet.find(name)
            if row is None:
                return True
            seen = self.look(name, row)
            if seen is None:
                return None
            removed.append(row)
            self._remove_step(seen)
            return None

        persist(f"removing {name}", step, seconds=SECONDS)
        for row in removed[-1:]:
            self._fleet.forget(row.vmid)
        node = self._inventory.hosts[name].hypervisor if name in self._inventory.hosts else None
        places = {row.node for row in removed} | ({node} if node else set())
        snippets = [self.snippets(place).remove(vendor_file(self._inventory, name)) for place in places]
        return bool(removed) or any(snippets)

    def snippets(self, node: str) -> SnippetFolder:
        """The snippet folder of a node."""
        return SnippetFolder(self._settings.snippets, node)

    def look(self, name: str, row: FleetRow) -> Seen | None:
        """A host's machine as it is now; None when it is no longer there.

        Raises `PreflightError` when it is not ours, or not this host's.
        """
        try:
            config = self._api.get(f"{row.path}/config")
            current = self._api.get(f"{row.path}/status/current")
        except ProxmoxApiError as error:
            if error.says("does not exist"):
                return None
            raise
        mark = read_mark(config.get("description"), row.vmid)
        ours = ProxmoxMark("lab", self._inventory.lab, name, row.vmid)
        if mark != ours:
            raise PreflightError(
                f"machine {row.vmid} ({config.get('name')}) on {row.node}: lost the mark of "
                f"{self._inventory.lab}; it is not touched",
                next_step=f"put the line back into its notes: {ours}",
            )
        paused = current.get("qmpstatus") in ("paused", "suspended") and current["status"] == "running"
        row = replace(row, status="paused" if paused else current["status"], lock=current.get("lock") or "")
        return Seen(row, config, self._protected(row.vmid), self._has_snippet(name, row))

    def _has_snippet(self, name: str, row: FleetRow) -> bool | None:
        """Whether a machine that has moved has its snippet where it is now; None for one that has not.

        Who moves a machine does not move its snippet, and at its next start Proxmox VE reads it (qemu-server,
        Cloudinit.pm).
        """
        if not self.moved(name, row) or NODE not in self._settings.snippets.folder:
            return None
        file = vendor_file(self._inventory, name)
        return file in self.snippets(row.node).names(file)

    def moved(self, name: str, row: FleetRow) -> bool:
        """Whether a host's machine is on another hypervisor than the inventory's."""
        return name in self._inventory.hosts and self._inventory.hosts[name].hypervisor != row.node

    def _protected(self, vmid: int) -> bool | None:
        if not self._settings.ha:
            return None
        return any(item["sid"] == f"vm:{vmid}" for item in self._api.get("cluster/ha/resources"))

    def _find(self, machine: Machine, work: Work) -> Seen | None:
        """The machine, or None when it is certain that there is none."""
        seen = self.look(machine.name, work.row) if work.row else None
        if seen:
            return seen
        state, row = self._fleet.find(machine.name)
        if state in (State.ABSENT, State.FOREIGN) and work.sent:
            self._fleet.changed()
            state, row = self._fleet.find(machine.name)
            at_number = self._fleet.rows().get(work.number or 0)
            if at_number and at_number.lock and state in (State.ABSENT, State.FOREIGN):
                # a clone has its number before it has its name and description
                raise NotYet(f"machine {at_number.vmid} is locked ({at_number.lock})")
        if state is State.FOREIGN:
            self._fleet.refuse_stranger(machine.name)
        work.row = row
        seen = self.look(machine.name, row) if row else None
        if row and not seen:
            self._fleet.forget(row.vmid)
            raise BusyError(f"{machine.name}: machine {row.vmid} has moved or gone")
        return seen

    def _advance(self, machine: Machine, work: Work) -> bool | None:
        """Read the machine, do the next step. True when nothing is missing."""
        seen = self._find(machine, work)
        wanted = self.wanted(machine.name, seen.row.vmid) if seen else {}
        step = next_step(machine, wanted, seen)
        if step is MachineStep.DONE:
            return True
        if seen is None:
            self._clones.make(machine.name, work)
        elif step is MachineStep.WAIT:
            raise NotYet(f"machine {seen.row.vmid} is locked ({seen.row.lock or seen.config.get('lock')})")
        elif step is MachineStep.START:
            self._start(machine.name, seen.row, work)
        else:
            self._change(step, machine, wanted, seen)
        work.changed = True
        return None

    def _change(self, step: MachineStep, machine: Machine, wanted: Mapping[str, Any], seen: Seen) -> None:
        row = seen.row
        if step is MachineStep.DISCARD:
            self._tasks.follow(self._api.delete(row.path, purge=1), seconds=TASK_SECONDS)
            self._fleet.forget(row.vmid)
        elif step is MachineStep.CONFIGURE:
            if not seen.configured:
                self._write_snippet(machine, row.node)
            mark = ProxmoxMark("lab", self._inventory.lab, machine.name, row.vmid)
            self._api.put(f"{row.path}/config", configuration(wanted, seen, mark))
        elif step is MachineStep.SNIPPET:
            self._write_snippet(machine, row.node)
        elif step is MachineStep.GROW:
            size = {"disk": DISK, "size": f"{machine.disk_gib}G", "digest": seen.config["digest"]}
            answer = self._api.put(f"{row.path}/resize", size)
            if answer is not None:  # a task since version 8
                self._tasks.follow(answer, seconds=TASK_SECONDS)
        elif step is MachineStep.PROTECT:
            self._api.post("cluster/ha/resources", {"sid": f"vm:{row.vmid}", "state": "started"})
        elif step is MachineStep.RESUME:
            self._tasks.follow(self._api.post(f"{row.path}/status/resume"), seconds=TASK_SECONDS)

    def _write_snippet(self, machine: Machine, node: str) -> None:
        text = checked_snippet(machine.name, machine.cloud_init[VENDOR_DATA])
        self.snippets(node).write(vendor_file(self._inventory, machine.name), text)

    def _start(self, name: str, row: FleetRow, work: Work) -> None:
        if work.started and self._settings.ha:
            raise NotYet("the HA manager has not started it yet")
        if work.started:
            raise FailedError(
                f"{name}: machine {row.vmid} was started and stopped at once",
                next_step=f"on {row.node}: qm start {row.vmid}, and read its console",
            )
        self._tasks.follow(self._api.post(f"{row.path}/status/start"), seconds=TASK_SECONDS)
        work.started = True

    def _remove_step(self, seen: Seen) -> None:
        row = seen.row
        if row.lock:
            raise NotYet(f"machine {row.vmid} is locked ({row.lock})")
        if seen.protected:
            self._api.delete(f"cluster/ha/resources/vm:{row.vmid}")
        elif row.status != "stopped":
            self._tasks.follow(self._api.post(f"{row.path}/status/stop"), seconds=TASK_SECONDS)
        else:
            # purge: out of backup jobs and HA too
            self._tasks.follow(self._api.delete(row.path, purge=1), seconds=TASK_SECONDS)
