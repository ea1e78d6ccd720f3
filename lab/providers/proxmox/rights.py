"""What the API token may do: the rights that a build needs, as roles, commands and a table of what lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lab.inventory.models import Inventory
from lab.machines import Blocker
from lab.providers.proxmox.config import hosts_of
from lab.providers.proxmox.section import Proxmox

_PARTS = ("CDROM", "CPU", "Cloudinit", "Disk", "HWType", "Memory", "Network", "Options")
MACHINE_RIGHTS = (
    *("VM.Allocate", "VM.Audit", "VM.Clone", "VM.PowerMgmt"),
    *(f"VM.Config.{part}" for part in _PARTS),
)
AGENT_RIGHT = {8: "VM.Monitor", 9: "VM.GuestAgent.Audit"}
"""Version 9 removed VM.Monitor and refuses a role that lists it (pve-access-control)."""


@dataclass(frozen=True)
class Need:
    """The privileges of one role, needed on one path."""

    role: str
    path: str
    privileges: tuple[str, ...]


def needs(inventory: Inventory, settings: Proxmox, major: int) -> list[Need]:
    """Everything that build and destroy need, for Proxmox VE of this major version; the least there is."""
    hosts = hosts_of(inventory)
    nodes = sorted({inventory.hosts[name].hypervisor or "" for name in hosts})
    networks = sorted({network_path(inventory, node) for node in nodes})
    agent = AGENT_RIGHT[8 if major < 9 else 9]
    machines = f"/pool/{settings.pool}" if settings.pool else "/vms"
    pool = ("Pool.Audit",) if settings.pool else ()
    found = [
        Need("PlumblineMachines", machines, tuple(sorted([*MACHINE_RIGHTS, agent, *pool]))),
        Need(
            "PlumblineDisks", f"/storage/{settings.storage}", ("Datastore.AllocateSpace", "Datastore.Audit")
        ),
        *(Need("PlumblineNode", f"/nodes/{node}", ("Sys.AccessNetwork", "Sys.Audit")) for node in nodes),
        *(Need("PlumblineNetwork", path, ("SDN.Use",)) for path in networks),
    ]
    images = f"/storage/{settings.image_storage}"
    if settings.image_storage == settings.storage:
        found[1] = Need("PlumblineDisks", images, (*found[1].privileges, "Datastore.AllocateTemplate"))
    else:
        found.insert(2, Need("PlumblineImages", images, ("Datastore.AllocateTemplate", "Datastore.Audit")))
    if settings.snippets.storage not in (settings.storage, settings.image_storage):
        found.append(Need("PlumblineSnippets", f"/storage/{settings.snippets.storage}", ("Datastore.Audit",)))
    if settings.ha:
        found.append(Need("PlumblineHa", "/", ("Sys.Audit", "Sys.Console")))
    return found


def network_path(inventory: Inventory, node: str) -> str:
    """Where the right on a node's bridge or VNet is held; with a tag, it is on the tag alone."""
    hypervisor, vlan = inventory.hypervisors[node], inventory.network.vlan
    path = f"/sdn/zones/{hypervisor.zone}/{hypervisor.bridge}"
    return f"{path}/{vlan}" if vlan else path


def role_commands(wanted: list[Need], token: str) -> list[str]:
    """Commands for root on a node: the roles, the user, the token, and what the token may do where."""
    user, _, name = token.partition("!")
    roles = {need.role: need.privileges for need in wanted}
    return [
        *(f'pveum role add {role} --privs "{" ".join(privileges)}"' for role, privileges in roles.items()),
        f"pveum user add {user}",
        f"pveum user token add {user} {name} --privsep 1",
        *(grant(need, token) for need in wanted),
    ]


def grant(need: Need, token: str) -> str:
    """The command that gives a role on a path. A token has at most its user's rights, so both get it."""
    user = token.partition("!")[0]
    return f"pveum acl modify {need.path} --users {user} --tokens '{token}' --roles {need.role}"


def held(permissions: Mapping[str, Mapping[str, int]], path: str, privilege: str) -> bool:
    """Whether the privilege is held on a path: there, or on the nearest path above, if it is passed on."""
    if path in permissions:
        return privilege in permissions[path]
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        if path in permissions:
            return bool(permissions[path].get(privilege))
    return False


def missing(
    wanted: list[Need],
    permissions: Mapping[str, Mapping[str, int]],
    token: str,
    seen: Mapping[str, str] = MappingProxyType({}),
) -> list[Blocker]:
    """One line for each path and privilege that the token lacks, with the command that grants it.

    `seen` tells of a path what was seen there, where that is more than that the right is not granted.
    """
    found = []
    for need in wanted:
        lacks = [item for item in need.privileges if not held(permissions, need.path, item)]
        if len(lacks) == len(need.privileges):
            fix = grant(need, token)
        else:  # the role is there, and is not the one that is needed
            fix = (
                f'pveum role modify {need.role} --privs "{" ".join(need.privileges)}" && {grant(need, token)}'
            )
        said = seen.get(need.path, "not granted")
        found += [Blocker(f"token {token} on {need.path}", said, item, fix) for item in lacks]
    return found
