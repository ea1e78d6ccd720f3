"""Proxmox VE 8 and 9 as a provider: virtual machines on the site's own network."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from lab.errors import FailedError, InputError
from lab.inventory.models import Inventory
from lab.machines import Blocker, Leftovers, Machine, Power, State, Traits
from lab.providers.proxmox import moved
from lab.providers.proxmox import preflight as proxmox_preflight
from lab.providers.proxmox.agent import verdict
from lab.providers.proxmox.api import ProxmoxApi, secret
from lab.providers.proxmox.clones import TASK_SECONDS, Clones
from lab.providers.proxmox.config import TRAITS, hosts_of
from lab.providers.proxmox.fleet import Fleet, FleetRow
from lab.providers.proxmox.machines import Machines
from lab.providers.proxmox.plan import sentences
from lab.providers.proxmox.retry import persist
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.tasks import Tasks
from lab.providers.proxmox.templates import Templates, Wanted
from lab.ssh import Keys
from lab.waits import NotYet

POWER_SECONDS = 120.0
"""Until a machine is in the state that was asked for; its task alone may take longer."""
_CALLS = {
    Power.ON: "start",
    Power.OFF: "stop",
    Power.RESET: "reset",
    Power.PAUSE: "suspend",
    Power.RESUME: "resume",
}
_REACHED = {
    Power.ON: (State.RUNNING, State.PAUSED),
    Power.OFF: (State.OFF, State.ABSENT),
    Power.PAUSE: (State.PAUSED,),
    Power.RESUME: (State.RUNNING,),
}
"""States in which nothing is left to be done."""


class ProxmoxProvider:
    """Machines of one lab on Proxmox VE. The contract is `lab.machines.Provider`.

    `report` gets a line for each warning of a task. Raises `InputError` for an inventory that does not say
    where the API is.
    """

    def __init__(self, inventory: Inventory, report: Callable[[str], None] = lambda _: None) -> None:
        settings = inventory.find(Proxmox)
        if settings is None:
            raise InputError(
                f"{inventory.lab}: has no section proxmox, which says where its API is",
                next_step="add proxmox with host and token: docs/proxmox.md",
            )
        self._inventory, self._settings, self._report = inventory, settings, report
        self._hosts = hosts_of(inventory)

    @cached_property
    def api(self) -> ProxmoxApi:
        """The cluster; opened by the first question, so that a command that asks none needs no secret."""
        return ProxmoxApi(self._settings, secret(self._inventory.lab))

    @cached_property
    def fleet(self) -> Fleet:
        """All machines of the cluster."""
        hosts = self._inventory.hosts
        return Fleet(self.api, self._inventory.lab, {name: hosts[name].vmid for name in self._hosts})

    @cached_property
    def templates(self) -> Templates:
        """The templates of the cluster."""
        return Templates(self.api, self._tasks, self.fleet, self._settings)

    @cached_property
    def _tasks(self) -> Tasks:
        return Tasks(self.api, self._report)

    @cached_property
    def _machines(self) -> Machines:
        keys = Keys(self._inventory.lab)
        return Machines(
            self.api, self._tasks, self.fleet, self._clones, self._inventory, self._settings, keys
        )

    @cached_property
    def _clones(self) -> Clones:
        return Clones(self.api, self._tasks, self.fleet, self.templates, self._inventory, self._settings)

    def traits_of(self, name: str) -> Traits:  # noqa: ARG002  # all its machines are alike
        return TRAITS

    def preflight(self, machines: Iterable[Machine]) -> list[Blocker]:
        return proxmox_preflight.preflight(
            self.api, self.fleet, self.templates, self._inventory, self._settings, machines
        )

    def enter(self) -> None:
        """Nothing to do: the machines are on the site's network."""

    def prepare(self) -> bool:
        """Templates for the machines that are still to be made."""
        self._clones.settle()
        hosts = self._inventory.hosts
        absent = [name for name in self._hosts if self.state(name) is State.ABSENT]
        wanted = {Wanted(hosts[name].os, hosts[name].hypervisor or "") for name in absent}
        return self.templates.provide(sorted(wanted, key=str))

    def create(self, machine: Machine) -> bool:
        return self._machines.create(machine)

    def changes(self, machine: Machine) -> tuple[str, ...]:
        self.fleet.refuse_stranger(machine.name)
        _, row = self.fleet.find(machine.name)
        seen = self._machines.look(machine.name, row) if row else None
        if seen is None or not seen.configured:
            return ()
        return sentences(machine, self._machines.wanted(machine.name, seen.row.vmid), seen)

    def remarks(self, machine: Machine) -> list[Blocker]:
        ours = self.fleet.machines()
        row = ours.get(machine.name)
        if row is None or not self._machines.moved(machine.name, row):
            return []
        storages = self.api.get(f"nodes/{row.node}/storage")
        return list(moved.remarks(self._inventory, self._settings, machine.name, ours, storages))

    def destroy(self, name: str) -> bool:
        self._clones.settle()
        return self._machines.destroy(name)

    def clean(self) -> bool:
        self._clones.settle()
        names = sorted({*self.fleet.machines(), *self._hosts})
        with ThreadPoolExecutor(16) as pool:
            return any(list(pool.map(self._clean_one, names)))

    def leftovers(self) -> Leftovers:
        self.fleet.changed()
        nodes = sorted({self._inventory.hosts[name].hypervisor or "" for name in self._hosts})
        prefix = f"plumbline-{self._inventory.lab}-"
        files = {name for node in nodes for name in self._machines.snippets(node).names(prefix)}
        return Leftovers({"machine": tuple(self.fleet.machines()), "snippet": tuple(sorted(files))})

    def machines(self) -> dict[str, State]:
        return {name: row.state for name, row in self.fleet.machines().items()}

    def state(self, name: str) -> State:
        return self.fleet.find(name)[0]

    def power(self, name: str, action: Power) -> None:
        sent: list[Power] = []

        def step() -> bool | None:
            self.fleet.changed()
            row = self._required(name)
            if row.state in _REACHED[action]:
                return True
            if sent:
                raise NotYet(f"machine {row.vmid} is {row.status}")
            self._send(row, action)
            sent.append(action)
            return None

        if action is Power.RESET:
            # no state shows whether a lost reset has happened, so it is never sent again
            self._send(self._required(name), action)
        else:
            persist(f"{name}: {action.value}", step, seconds=POWER_SECONDS)
        self.fleet.changed()

    def console(self, name: str) -> str:
        """What Proxmox VE and the agent say; the API has no call that reads what a machine printed."""
        row = self._required(name)
        host, inventory = self._inventory.hosts[name], self._inventory
        machine = Machine(
            name, inventory.interface(name), inventory.mac(name), host.cpus, 0, host.disk_gib, cloud_init={}
        )
        lines = [f"machine {row.vmid} on {row.node}: {row.status} {row.lock}".rstrip()]
        if row.state is State.RUNNING:
            lines.append(verdict(self.api, row, machine))
        return "\n".join([*lines, f"its console: on {row.node}, qm terminal {row.vmid}", ""])

    def _send(self, row: FleetRow, action: Power) -> None:
        if row.state is State.OFF and action is not Power.ON:
            raise FailedError(f"{row.name}: {action.value}: the machine is off")
        self._tasks.follow(self.api.post(f"{row.path}/status/{_CALLS[action]}"), seconds=TASK_SECONDS)

    def _required(self, name: str) -> FleetRow:
        self.fleet.refuse_stranger(name)
        _, row = self.fleet.find(name)
        if row is None:
            raise FailedError(f"{name}: there is no such machine", next_step="invoke build")
        return row

    def _clean_one(self, name: str) -> bool:
        """Remove a machine that is ours; a stranger with a name of ours stays."""
        return self.state(name) is not State.FOREIGN and self._machines.destroy(name)
