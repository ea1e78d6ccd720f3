"""What to know of a machine that is on another hypervisor than the inventory says, and how to go on.

High availability moves machines when a node dies, and people do before they service one. Such a machine is
the lab's as before: a build neither makes it anew nor moves it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.inventory.models import Inventory
from lab.machines import Blocker
from lab.providers.proxmox.config import vendor_file
from lab.providers.proxmox.fleet import FleetRow
from lab.providers.proxmox.section import Proxmox
from lab.providers.proxmox.snippets import NODE


def remarks(
    inventory: Inventory,
    settings: Proxmox,
    name: str,
    fleet: Mapping[str, FleetRow],
    storages: Iterable[Mapping[str, Any]],
) -> Iterator[Blocker]:
    """Warnings about a host's machine that has moved, none for one that has not.

    `fleet` are the lab's machines by name, `storages` those of the node where this one is.
    """
    row, home = fleet[name], inventory.hosts[name].hypervisor or ""
    if row.node == home:
        return
    there = {item["storage"]: item for item in storages}
    yield Blocker(
        f"hosts.{name}.hypervisor",
        f"machine {row.vmid} is on {row.node}: people or high availability have moved it",
        f"{home}; a build leaves it where it is",
        f"bring it back: {_back(settings, row, home, there)}; or {_adopted(inventory, row.node)}",
        stops=False,
    )
    together = [
        other
        for other in inventory.masters
        if other != name and other in fleet and fleet[other].node == row.node
    ]
    if name in inventory.masters and together:
        yield Blocker(
            f"hosts.{name}.hypervisor",
            f"{', '.join(sorted([name, *together]))} are together on {row.node}",
            "masters on different hypervisors, as in the inventory: one that dies takes one along",
            f"bring {name} back",
            stops=False,
        )
    storage = there.get(settings.snippets.storage, {})
    if NODE not in settings.snippets.folder and not storage.get("shared"):
        yield Blocker(
            f"proxmox.snippets.folder {settings.snippets.folder}",
            f"leads to one hypervisor, and {row.node} has a folder of its own",
            f"{vendor_file(inventory, name)} on {row.node} too: without it {name} does not start there",
            f"write the folder with {NODE} for the hypervisor; invoke build then writes it",
            stops=False,
        )


def _back(settings: Proxmox, row: FleetRow, home: str, there: Mapping[str, Mapping[str, Any]]) -> str:
    """The command that moves a machine back."""
    if settings.ha:
        return f"on any node: ha-manager migrate vm:{row.vmid} {home}"
    online = " --online" if row.status in ("running", "paused") else ""
    local = "" if there.get(settings.storage, {}).get("shared") else " --with-local-disks"
    return f"on {row.node}: qm migrate {row.vmid} {home}{online}{local}"


def _adopted(inventory: Inventory, node: str) -> str:
    """The edit after which the machine is at home where it is."""
    edit = f"write hypervisor: {node}"
    return edit if node in inventory.hypervisors else f"describe {node} under hypervisors and {edit}"
