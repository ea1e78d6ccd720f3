"""Addresses of pools, and pools that a check adds: outside the lab's own, and gone afterwards.

MetalLB reads its objects from its own namespace only, so these cannot lie in the check's workspace; they
carry the label by which a crashed run's are found and removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

from addons.metallb.section import MetalLB
from lab.checks.driver import Driver
from lab.checks.outcomes import NotPartOfLab
from lab.checks.outside import arp_owners
from lab.checks.workspace import LABEL
from lab.inventory.models import Inventory
from lab.objects import Object

ROOT = "/apis/metallb.io/v1beta1/namespaces/metallb-system"
KINDS = {"ipaddresspools": "IPAddressPool", "l2advertisements": "L2Advertisement"}


def free_addresses(driver: Driver, number: int) -> list[str]:
    """Addresses of the LAN that nobody has: not in the inventory, not in a pool, not answering ARP.

    Raises `NotPartOfLab` when the LAN has not so many.
    """
    found: list[str] = []
    for address in reversed(list(driver.inventory.network.lan.hosts())):
        if len(found) == number:
            return sorted(found, key=IPv4Address)
        if not _taken(driver.inventory, address) and not arp_owners(
            driver.lan_interface, str(address), seconds=0.2, asked=1
        ):
            found.append(str(address))
    raise NotPartOfLab("network.lan", f"it has no {number} free addresses for a pool of a check's own")


def _taken(inventory: Inventory, address: IPv4Address) -> bool:
    network = inventory.network
    held = {network.gateway, *inventory.nameservers, *(host.address for host in inventory.hosts.values())}
    ranges = [addresses for pool in inventory.section(MetalLB).pools for addresses in pool.addresses]
    ranges += [network.dhcp] if network.dhcp else []
    return address in held or any(address in addresses for addresses in ranges)


def pooled(inventory: Inventory) -> list[IPv4Address]:
    """All addresses of the pools."""
    ranges = [item for pool in inventory.section(MetalLB).pools for item in pool.addresses]
    return [item.first + number for item in ranges for number in range(len(item))]


def used(services: Iterable[Object]) -> set[IPv4Address]:
    """Addresses that services have."""
    balanced = [item["status"].get("loadBalancer", {}) for item in services]
    given = [entry for item in balanced for entry in item.get("ingress", ())]
    return {IPv4Address(entry["ip"]) for entry in given if "ip" in entry}


@contextmanager
def pool(driver: Driver, name: str, addresses: list[str], *, auto_assign: bool = False) -> Iterator[str]:
    """A pool of single addresses, announced on the LAN, while the block runs; gives back its name."""
    remove_pools(driver, name)
    meta = {"name": name, "namespace": "metallb-system", "labels": {LABEL: "pool"}}
    specs: dict[str, dict[str, Any]] = {
        "ipaddresspools": {"addresses": [f"{a}/32" for a in addresses], "autoAssign": auto_assign},
        "l2advertisements": {"ipAddressPools": [name]},
    }
    try:
        for collection, spec in specs.items():
            item = {
                "apiVersion": "metallb.io/v1beta1",
                "kind": KINDS[collection],
                "metadata": meta,
                "spec": spec,
            }
            driver.cluster.create(f"{ROOT}/{collection}", item)
        yield name
    finally:
        remove_pools(driver, name)


def remove_pools(driver: Driver, name: str = "") -> None:
    """Remove a check's pool, or all that checks have ever left behind."""
    for collection in reversed(KINDS):
        for item in driver.cluster.items(f"{ROOT}/{collection}?labelSelector={LABEL.replace('/', '%2F')}"):
            if name in ("", item["metadata"]["name"]):
                driver.cluster.delete(f"{ROOT}/{collection}/{item['metadata']['name']}")
