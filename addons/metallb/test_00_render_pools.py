"""Layer render: MetalLB's pools."""

from __future__ import annotations

import pytest

from addons.metallb.section import MetalLB
from lab.addons import addons
from lab.checks.driver import Driver
from lab.checks.verbs import agrees
from lab.render.addons import OBJECTS, rendered


@pytest.mark.check("L0-14")
def test_every_pool_is_announced(driver: Driver) -> None:
    """Every MetalLB pool of the inventory is rendered and named by an L2Advertisement."""
    (addon,) = (item for item in addons() if item.name == "metallb")
    items = rendered(driver.inventory, addon, OBJECTS)
    pools = [item["metadata"]["name"] for item in items if item["kind"] == "IPAddressPool"]
    announced = [
        name for item in items if item["kind"] == "L2Advertisement" for name in item["spec"]["ipAddressPools"]
    ]
    agrees("pools", pools, [pool.name for pool in driver.inventory.section(MetalLB).pools])
    agrees("announced pools", sorted(announced), sorted(pools))
