"""Ranges of addresses, of add-ons and of a DHCP server: inside the LAN, on addresses that nobody else has."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from ipaddress import IPv4Address

from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.ranges import AddressRange
from lab.inventory.rules.hosts import host
from lab.inventory.rules.named import named
from lab.inventory.rules.networks import DHCP, GATEWAY, LAN, ranges

SHOWN_HITS = 12


def disjoint(inventory: Inventory) -> Iterator[Problem]:
    """No two ranges that are handed out share an address."""
    areas = sorted(
        (area for area in ranges(inventory) if area.path != DHCP),
        key=lambda area: (area.addresses, area.path),
    )
    last = None
    for area in areas:
        if last is not None and last.addresses.overlaps(area.addresses):
            one, other = sorted((last, area), key=lambda item: [str(part).zfill(9) for part in item.path])
            rule = f"overlaps {one.what} in {one.addresses.shared(other.addresses)}"
            yield Problem(other.path, rule, "give each range addresses of its own", others=(one.path,))
        if last is None or area.addresses.last > last.addresses.last:
            last = area


def inside_lan(inventory: Inventory) -> Iterator[Problem]:
    """Addresses are announced by ARP, and a DHCP server answers broadcasts: both only work inside the LAN."""
    lan = AddressRange.of(inventory.network.lan)
    for area in ranges(inventory):
        if area.addresses.first not in lan or area.addresses.last not in lan:
            fix = f"choose addresses of {inventory.network.lan}"
            yield Problem(area.path, f"reaches outside the LAN {inventory.network.lan}", fix, others=(LAN,))


def free(inventory: Inventory) -> Iterator[Problem]:
    """Nobody else has an address of a range; a DHCP server does not hand out its own router's."""
    taken = _taken(inventory)
    for area in ranges(inventory):
        network = inventory.network
        if area.path == DHCP:
            if network.gateway in area.addresses:
                fix = "shorten the range"
                yield Problem(DHCP, f"contains the gateway {network.gateway}", fix, others=(GATEWAY,))
            continue
        start = bisect_left(taken, area.addresses.first, key=lambda item: item[0])
        end = bisect_right(taken, area.addresses.last, key=lambda item: item[0])
        hits = taken[start : min(end, start + SHOWN_HITS)]
        found = [f"{address} ({who})" for address, who, _ in hits]
        others = [path for *_, path in hits]
        if network.dhcp and network.dhcp.overlaps(area.addresses):
            found.append(f"{network.dhcp.shared(area.addresses)} (DHCP)")
            others.append(DHCP)
        if found:
            more = f" and {end - start - SHOWN_HITS} more" if end - start > SHOWN_HITS else ""
            rule = f"contains {', '.join(found)}{more}"
            gap = free_range(inventory, len(area.addresses))
            fix = f"choose free addresses, as {gap}" if gap else f"the LAN {network.lan} has none left"
            yield Problem(area.path, rule, fix, others=tuple(dict.fromkeys(others)))


def _taken(inventory: Inventory) -> list[tuple[IPv4Address, str, Loc]]:
    """Every single address of the LAN that has an owner, sorted."""
    network = inventory.network
    found = [
        (network.lan.network_address, "network", LAN),
        (network.lan.broadcast_address, "broadcast", LAN),
        (network.gateway, "gateway", GATEWAY),
        *((machine.address, name, host(name, "address")) for name, machine in inventory.hosts.items()),
    ]
    return sorted(found, key=lambda item: item[0])


def free_range(inventory: Inventory, size: int) -> AddressRange | None:
    """Up to `size` addresses in a row that nobody has: the first such gap of the LAN, or its largest."""
    lan = inventory.network.lan
    owned = [AddressRange(address, address) for address, _, _ in _taken(inventory)]
    owned += [AddressRange(item.address, item.address) for item in named(inventory)]
    if inventory.network.dhcp:
        owned.append(inventory.network.dhcp)
    start, best = int(lan.network_address), (0, 0)
    for taken in sorted(owned):
        gap = min(int(taken.first), int(lan.broadcast_address)) - start
        if best[1] < size and gap > best[1]:
            best = (start, gap)
        start = max(start, int(taken.last) + 1)
    if best[1] <= 0:
        return None
    return AddressRange(IPv4Address(best[0]), IPv4Address(best[0] + min(size, best[1]) - 1))


RULES = (inside_lan, disjoint, free)
