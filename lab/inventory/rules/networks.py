"""Networks: each one usable, every pair of them apart, and the router where machines reach it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from itertools import combinations

from lab.inventory.addon_sections import of_lab
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.ranges import AddressRange
from lab.inventory.sections import Kubernetes

LAN: Loc = ("network", "lan")
MANAGEMENT: Loc = ("network", "management")
PODS: Loc = ("kubernetes", "pod_subnet")
SERVICES: Loc = ("kubernetes", "service_subnet")
GATEWAY: Loc = ("network", "gateway")
DHCP: Loc = ("network", "dhcp")

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
SHARED = IPv4Network("100.64.0.0/10")
"""Between a provider's routers and its customers' (RFC 6598): nobody's on the internet either."""
SPECIAL = {
    IPv4Network("0.0.0.0/8"): "this host (0.0.0.0/8)",
    IPv4Network("127.0.0.0/8"): "loopback (127.0.0.0/8)",
    IPv4Network("169.254.0.0/16"): "link-local (169.254.0.0/16)",
    IPv4Network("224.0.0.0/3"): "multicast and reserved (224.0.0.0/3)",
}


@dataclass(frozen=True)
class Area:
    """A part of the address space with its owner. `movable` orders who moves first in a clash."""

    path: Loc
    what: str
    addresses: AddressRange
    movable: int


def networks(inventory: Inventory) -> list[tuple[Area, IPv4Network]]:
    """The networks of an inventory, the ones that exist."""
    wanted = (
        (LAN, "the LAN", inventory.network.lan, 1),
        (MANAGEMENT, "the management network", inventory.network.management, 0),
        (PODS, "the pod network", inventory.kubernetes.pod_subnet, 3),
        (SERVICES, "the service network", inventory.kubernetes.service_subnet, 4),
    )
    return [(Area(path, what, AddressRange.of(net), rank), net) for path, what, net, rank in wanted if net]


def overlaps(inventory: Inventory) -> Iterator[Problem]:
    """No two networks share an address, and no range of addresses reaches into another network than the LAN.

    An overlap works most of the time: a node's address must first fall into another node's part
    (kubernetes-sigs/provider-aws-test-infra#576), so every pair is compared.
    """
    nets = networks(inventory)
    for (one, net_one), (other, net_other) in combinations(nets, 2):
        if net_one.overlaps(net_other):
            mover, net = max(((one, net_one), (other, net_other)), key=lambda pair: pair[0].movable)
            free = free_network(net.prefixlen, [known for area, known in nets if area is not mover])
            fix = f"move {mover.path[0]}.{mover.path[1]} to {free}" if free else "make one of them smaller"
            rule = f"{one.what} and {other.what} share {one.addresses.shared(other.addresses)}"
            yield Problem(other.path, rule, fix, others=(one.path,))
    lan = nets[0][1]
    apart = [area for area, net in nets[1:] if not net.overlaps(lan)]
    for area in ranges(inventory):
        for net_area in apart:
            if area.addresses.overlaps(net_area.addresses):
                rule = f"{area.what} and {net_area.what} share {area.addresses.shared(net_area.addresses)}"
                fix = f"choose addresses of the LAN {inventory.network.lan}"
                yield Problem(area.path, rule, fix, others=(net_area.path,))


def ranges(inventory: Inventory) -> list[Area]:
    """The ranges inside the LAN: those that add-ons hand out and the DHCP server's."""
    found = [
        Area(item.path, item.what, item.addresses, 2)
        for _, section in of_lab(inventory)
        for item in section.lan_ranges(inventory)
    ]
    if inventory.network.dhcp:
        found.append(Area(DHCP, "the DHCP range", inventory.network.dhcp, 2))
    return found


def free_network(prefix: int, used: Iterable[IPv4Network]) -> IPv4Network | None:
    """The first private network of a prefix length that touches none of `used`; the customary ones first."""
    taken = list(used)
    customary = (Kubernetes().pod_subnet, Kubernetes().service_subnet)
    candidates = [net for net in customary if net.prefixlen == prefix]
    for block in PRIVATE:
        if block.prefixlen <= prefix:
            candidate = IPv4Network((block.network_address, prefix))
            while candidate.subnet_of(block):
                hit = next((net for net in taken if net.overlaps(candidate)), None)
                if hit is None:
                    candidates.append(candidate)
                    break
                beyond = max(int(hit.broadcast_address), int(candidate.broadcast_address)) + 1
                candidate = IPv4Network((beyond, prefix), strict=False)
    return next((net for net in candidates if not any(net.overlaps(known) for known in taken)), None)


def usable(inventory: Inventory) -> Iterator[Problem]:
    """A network holds addresses that machines may have."""
    for area, net in networks(inventory):
        for special, name in SPECIAL.items():
            if net.overlaps(special):
                rule = f"reaches into {name}, which no machine may have"
                yield Problem(
                    area.path,
                    rule,
                    f"choose a private network, as {free_network(max(net.prefixlen, 16), [])}",
                )
                break
        else:
            if not any(net.subnet_of(block) for block in (*PRIVATE, SHARED)):
                rule = f"is public address space, whose owners can no longer be reached from {area.what}"
                yield Problem(area.path, rule, "use it only if it is yours", warning=True)
    lan = inventory.network.lan
    if lan.prefixlen > 29:
        yield Problem(
            LAN, f"has room for {max(lan.num_addresses - 2, 0)} machines", "write a network of /29 or larger"
        )


def routers(inventory: Inventory) -> Iterator[Problem]:
    """The gateway stands in the LAN."""
    network = inventory.network
    yield from _inside(GATEWAY, network.gateway, LAN, network.lan, "the LAN")


def _inside(path: Loc, address: object, owner: Loc, net: IPv4Network, what: str) -> Iterator[Problem]:
    first = f"write {net.network_address + 1}" if net.num_addresses > 2 else f"correct {what}"
    if address not in net:
        yield Problem(path, f"lies outside {what} {net}", first, others=(owner,))
    elif net.num_addresses > 2 and address in (net.network_address, net.broadcast_address):
        kind = "network" if address == net.network_address else "broadcast"
        yield Problem(path, f"is the {kind} address of {what} {net}", first, others=(owner,))


RULES = (usable, overlaps, routers)
