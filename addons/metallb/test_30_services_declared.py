"""Layer services: what MetalLB is told in the cluster is what the inventory declares."""

from __future__ import annotations

from typing import Any

import pytest

from addons.metallb.client import ROOT
from addons.metallb.exclusion import EXCLUDED
from addons.metallb.section import MetalLB
from lab.checks.driver import Driver
from lab.checks.verbs import agrees, nothing
from lab.checks.workspace import LABEL
from lab.inventory.models import Inventory


def declared(driver: Driver, collection: str) -> dict[str, dict[str, Any]]:
    """Specifications by name, without what a check has made."""
    return {
        item["metadata"]["name"]: item["spec"]
        for item in driver.cluster.items(f"{ROOT}/{collection}")
        if LABEL not in item["metadata"].get("labels", {})
    }


@pytest.mark.check("P3-01")
def test_the_pools_are_the_inventorys(driver: Driver, inventory: Inventory) -> None:
    """The cluster's address pools are the inventory's, and each is announced by an L2Advertisement."""
    command = "kubectl -n metallb-system get ipaddresspools,l2advertisements -o yaml"
    seen = {
        name: f"{', '.join(spec['addresses'])}{'' if spec.get('autoAssign', True) else ', on request'}"
        for name, spec in declared(driver, "ipaddresspools").items()
    }
    wanted = {
        pool.name: f"{', '.join(map(str, pool.addresses))}{'' if pool.auto_assign else ', on request'}"
        for pool in inventory.section(MetalLB).pools
    }
    agrees("pools of the cluster", seen, wanted, command=command)
    announced = {
        name
        for spec in declared(driver, "l2advertisements").values()
        for name in (spec.get("ipAddressPools") or wanted)
    }
    nothing(
        "pools that no L2Advertisement names", sorted(set(wanted) - announced), rule="none", command=command
    )


@pytest.mark.check("P3-02")
def test_every_worker_may_announce(driver: Driver, inventory: Inventory) -> None:
    """No worker is excluded from external load balancers: MetalLB would never announce from it."""
    excluded = [
        item["metadata"]["name"]
        for item in driver.cluster.items("/api/v1/nodes")
        if EXCLUDED in item["metadata"]["labels"]
        and LABEL not in item["metadata"]["labels"]
        and item["metadata"]["name"] in inventory.workers
    ]
    nothing("workers that are excluded", excluded, rule="none", command="kubectl get nodes --show-labels")
