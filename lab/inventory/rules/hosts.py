"""Machines: each with an address, a MAC and a number of its own, and every name that is used exists."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator

from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem, closest, dotted
from lab.inventory.rules.networks import DHCP, GATEWAY, LAN


def host(name: str, key: str) -> Loc:
    """The place of a host's value."""
    return ("hosts", name, key)


def _twice(pairs: Iterable[tuple[Hashable, Loc]], what: str, fix: str) -> Iterator[Problem]:
    """One problem for each value that several places have, told at the last of them."""
    owners: dict[Hashable, list[Loc]] = {}
    for value, path in pairs:
        owners.setdefault(value, []).append(path)
    for value, paths in owners.items():
        if len(paths) > 1:
            *first, last = paths
            names = ", ".join(dotted(path[:2]) for path in first)
            yield Problem(
                last, f"duplicate {what} {value}, which is {names}'s as well", fix, others=tuple(first)
            )


def addresses(inventory: Inventory) -> Iterator[Problem]:
    """No two machines share an address."""
    pairs = [(machine.address, host(name, "address")) for name, machine in inventory.hosts.items()]
    yield from _twice(pairs, "address", "give each machine an address of its own")


def cards(inventory: Inventory) -> Iterator[Problem]:
    """No two machines share a MAC address, derived ones included."""
    pairs = [(inventory.mac(name), host(name, "mac")) for name in inventory.hosts]
    yield from _twice(pairs, "MAC address", "give each machine a MAC address of its own, or leave it out")


def numbers(inventory: Inventory) -> Iterator[Problem]:
    """No two machines share a number on the hypervisors."""
    pairs = [(machine.vmid, host(name, "vmid")) for name, machine in inventory.hosts.items() if machine.vmid]
    yield from _twice(pairs, "vmid", "give each machine a vmid of its own, or leave it out")


def places(inventory: Inventory) -> Iterator[Problem]:
    """A machine's address lies in the LAN, and is nobody else's there."""
    network = inventory.network
    lan, reserved = (
        network.lan,
        {network.lan.network_address: "network", network.lan.broadcast_address: "broadcast"},
    )
    example = f"choose a free address of {lan}"
    for name, machine in inventory.hosts.items():
        path, address = host(name, "address"), machine.address
        if address not in lan:
            yield Problem(path, f"lies outside the LAN {lan}", example, others=(LAN,))
        elif address in reserved:
            yield Problem(
                path, f"is the {reserved[address]} address of the LAN {lan}", example, others=(LAN,)
            )
        if address == network.gateway:
            yield Problem(path, "is the gateway's address", example, others=(GATEWAY,))
        if network.dhcp and address in network.dhcp:
            rule = f"lies in the DHCP range {network.dhcp}, so another machine may be given it"
            yield Problem(path, rule, "choose an address outside the range, or shorten it", others=(DHCP,))


def hypervisors(inventory: Inventory) -> Iterator[Problem]:
    """Every hypervisor that a machine names is described, and every described one is used."""
    known = list(inventory.hypervisors)
    used = {machine.hypervisor for machine in inventory.hosts.values()}
    for name, machine in inventory.hosts.items():
        if machine.hypervisor and machine.hypervisor not in known:
            fix = _meant(machine.hypervisor, known, "add it under hypervisors")
            rule = "there is no hypervisor of that name"
            yield Problem(host(name, "hypervisor"), rule, fix, depends=(("hypervisors",),))
    for name in known:
        if name not in used:
            fix = f"remove it, or name it as a machine's hypervisor: {name}"
            yield Problem(("hypervisors", name), "carries no machine", fix, warning=True)


def labelled(inventory: Inventory) -> Iterator[Problem]:
    """Labels are a Kubernetes node's; the load balancer is none."""
    for name, machine in inventory.hosts.items():
        if machine.labels and name not in inventory.nodes:
            rule = "nothing would be labelled: a load balancer is no Kubernetes node"
            yield Problem(host(name, "labels"), rule, "remove it", others=(host(name, "role"),))


def _meant(word: str, known: Iterable[str], otherwise: str) -> str:
    near = closest(word, known)
    return f"did you mean {near}?" if near else otherwise


RULES = (addresses, cards, numbers, places, hypervisors, labelled)
