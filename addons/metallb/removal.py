"""What others lose when a pool goes: the addresses that their services have of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from addons.metallb.section import holds
from lab.checks.objects import address_of
from lab.cluster.api import Api
from lab.cluster.discovery import Item
from lab.inventory.models import Inventory
from lab.inventory.problems import Unfit
from lab.inventory.ranges import AddressRange, parse_address

POOL = "IPAddressPool"


def consequences(inventory: Inventory, api: Api, going: Iterable[Item]) -> Iterator[str]:
    """A sentence for each service of type LoadBalancer that has an address of a pool that goes.

    MetalLB takes the address away at once, and hands one out again as soon as a pool has one.
    """
    pools = [item for item in going if item.key.kind == POOL]
    services = api.items("/api/v1/services") if pools else []
    for item in pools:
        spec = (api.get(item.path) or {}).get("spec") or {}
        for service in services:
            address = address_in(service)
            if address and any(within(address, text) for text in spec.get("addresses", ())):
                meta = service["metadata"]
                then = "until another pool has it, and may be given another"
                if not holds(inventory, address):
                    then = "which no pool of the inventory has"
                name = f"Service/{meta['namespace']}/{meta['name']}"
                yield f"{name} loses {address} of pool {item.key.name}, {then}"


def address_in(service: dict[str, object]) -> IPv4Address | None:
    """The service's address; None for none, and for one of IPv6, of which no pool of an inventory is."""
    try:
        return parse_address(address_of(service))
    except Unfit:
        return None


def within(address: IPv4Address, text: str) -> bool:
    """Whether an address lies in a range of a living pool, which a hand may have written."""
    try:
        return address in AddressRange.parse(text)
    except Unfit:
        return False
