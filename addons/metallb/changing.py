"""What others lose when a pool is changed: the addresses that their services have of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from addons.metallb.client import ROOT
from addons.metallb.removal import POOL, address_in, within
from addons.metallb.section import MetalLB, holds
from lab.cluster.api import Api
from lab.inventory.models import Inventory


def consequences(inventory: Inventory, api: Api, changing: Collection[str]) -> Iterator[str]:
    """A sentence for each service whose address its pool has now, and no longer when it is changed.

    `changing` are the objects that are about to be changed, as Kind/namespace/name.
    """
    pools = {pool.name: pool for pool in inventory.section(MetalLB).pools}
    asked = [name for name in pools if f"{POOL}/metallb-system/{name}" in changing]
    services = api.items("/api/v1/services") if asked else []
    for name in asked:
        held = (api.get(f"{ROOT}/ipaddresspools/{name}") or {}).get("spec", {}).get("addresses", ())
        for service in services:
            address = address_in(service)
            if not address or not any(within(address, text) for text in held):
                continue
            if any(address in area for area in pools[name].addresses):
                continue
            meta = service["metadata"]
            then = "until another pool has it, and may be given another"
            if not holds(inventory, address):
                then = "which no pool of the inventory has"
            yield f"Service/{meta['namespace']}/{meta['name']} loses {address} of pool {name}, {then}"
