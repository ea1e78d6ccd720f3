"""The host firewall: open for exactly what the roles' ports say, and never a trap for ourselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses, ip_address
from typing import Any

from lab.addons import selected
from lab.addons.model import DeclaredPort as Declared
from lab.addons.model import Listen
from lab.errors import FailedError
from lab.inventory.addon_sections import place_of, pod_interfaces
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.role import RoleListen
from lab.render.roles import addon_roles, host_roles, load_roles

FILE = "/etc/nftables.conf"
SSH_PORT = 22
TABLE = "inet plumbline"


@dataclass(frozen=True)
class Port:
    """A port of one host with its number; `sources` are the groups that may reach it from outside.

    `only_at` is the one address on which it listens, "" for any.
    """

    port: int
    protocol: str
    sources: tuple[str, ...] = ()
    only_at: str = ""

    def takes(self, address: str) -> bool:
        """Whether it may listen on an address; without sources on loopback alone."""
        if self.only_at or self.sources:
            return self.only_at in ("", address)
        return address not in ("*", "") and ip_address(address).is_loopback


def listening(inventory: Inventory, name: str) -> tuple[Port, ...]:
    """The ports of a host that listen: those of its roles and, on a node, of the add-ons."""
    found: list[Listen] = [item for role in host_roles(inventory, name) for item in role.listen]
    if name in inventory.nodes:
        found += [
            item
            for addon in selected(inventory)
            for item in addon.ports
            if not item.at or place_of(inventory, addon, item.at) == name
        ]
    return tuple(_port(inventory, item, inventory.addresses[name]) for item in found)


def port_of(inventory: Inventory, name: str) -> int:
    """Number of the port that a role or an add-on of the lab declares under a name, such as `etcd's peers`.

    Raises `LookupError` when none does.
    """
    brought = (role for addon in selected(inventory) for role in addon_roles().get(addon.name, ()))
    roles = (*load_roles(), *brought)
    of_roles: list[Declared] = [item for role in roles for item in (*role.listen, *role.closed)]
    for item in (*of_roles, *(item for addon in selected(inventory) for item in addon.ports)):
        if item.name == name:
            return _port(inventory, item).port
    raise LookupError(f"{name}: no role and no add-on of {inventory.lab} declares such a port")


def closed(inventory: Inventory, name: str) -> tuple[Port, ...]:
    """The ports of a host on which nothing may listen."""
    return tuple(_port(inventory, item) for role in host_roles(inventory, name) for item in role.closed)


def relayed(inventory: Inventory, name: str) -> tuple[int, ...]:
    """Ports that one program has on the machine's address in the LAN, and another on loopback."""
    ports = listening(inventory, name)
    local = {(port.port, port.protocol) for port in ports if not port.sources}
    return tuple(port.port for port in ports if port.only_at and (port.port, port.protocol) in local)


def _port(inventory: Inventory, item: Declared, address: str = "") -> Port:
    number = item.port if isinstance(item.port, int) else inventory.number(item.port)
    sources = item.sources if isinstance(item, Listen) else ()
    lan = isinstance(item, RoleListen) and item.address == "lan"
    return Port(number, item.protocol, sources, address if lan else "")


def operators(inventory: Inventory, traits: Traits) -> tuple[IPv4Network, ...]:
    """The networks of people and of the harness; none overlap.

    They are LAN, management network, `ssh.networks`, and those by which the provider reaches the machine.
    """
    management = inventory.network.management
    found = [inventory.network.lan, *([management] if management else []), *inventory.ssh.networks]
    return tuple(collapse_addresses([*found, *traits.networks]))


def groups(inventory: Inventory, traits: Traits, ports: Sequence[Port]) -> dict[str, str]:
    """The groups that the ports of a host name, each with its members as nftables lists them."""
    members = {
        "operators": [str(network) for network in operators(inventory, traits)],
        "masters": [inventory.addresses[name] for name in inventory.masters],
        "nodes": [inventory.addresses[name] for name in inventory.nodes],
        "machines": list(inventory.addresses.values()),
    }
    named = dict.fromkeys(group for port in ports for group in port.sources)
    return {group: ", ".join(members[group]) for group in named}


def pod_traffic(inventory: Inventory, name: str) -> dict[str, Any] | None:
    """Where packets of pods enter their own host, which takes all of them; None on a host without pods.

    Pods of other nodes come with their node's address, or over the overlay.
    """
    if name not in inventory.nodes:
        return None
    return {
        "interfaces": list(pod_interfaces(inventory)),
        "subnet": str(inventory.kubernetes.pod_subnet),
    }


def rules(ports: Sequence[Port]) -> list[str]:
    """The lines of nftables' language that open the ports."""
    return [
        f"ip saddr @{group} {port.protocol} dport {port.port} accept"
        for port in ports
        for group in port.sources
    ]


def guard(name: str, ruleset: str, ports: Sequence[Port]) -> None:
    """Refuse a ruleset that would lock us out, cut the cluster or destroy the rules of others.

    Raises `FailedError` with everything that is wrong with it.
    """
    lines = [line.strip() for line in ruleset.splitlines() if not line.strip().startswith("#")]
    wrong = [f"{line!r} removes what is not ours" for line in lines if _destroys(line)]
    if SSH_PORT not in {port.port for port in ports if "operators" in port.sources}:
        wrong.append(f"SSH ({SSH_PORT}) is open for nobody")
    # a rule behind a drop is never reached
    reached = set(lines[: next((i for i, line in enumerate(lines) if _drops(line)), len(lines))])
    wrong += [f"{rule!r} is missing" for rule in (*ALWAYS, *rules(ports)) if rule not in reached]
    if wrong:
        raise FailedError(
            f"{name}: {FILE}: {'; '.join(wrong)}", next_step="mend templates/nftables/nftables.conf.j2"
        )


ALWAYS = ("ct state established,related accept", 'iifname "lo" accept')
"""Without these a reload would break running connections, or a host could not talk to itself."""


def _destroys(line: str) -> bool:
    words = line.split()
    return words[:1] in (["flush"], ["delete"], ["destroy"]) and " ".join(words[1:]) != f"table {TABLE}"


def _drops(line: str) -> bool:
    return line.endswith((" drop", " reject")) or line in ("drop", "reject")
