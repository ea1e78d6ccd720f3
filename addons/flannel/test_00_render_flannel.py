"""Layer render: Flannel's files."""

from __future__ import annotations

import json

import pytest

from addons.flannel.section import files
from lab.checks.driver import Driver
from lab.checks.verbs import agrees


@pytest.mark.check("L0-13")
def test_flannel_is_given_the_pod_subnet(driver: Driver) -> None:
    """Flannel's network equals the pod subnet, over vxlan."""
    network = json.loads(files(driver.inventory)["net-conf.json"])
    agrees("Network", network["Network"], str(driver.inventory.kubernetes.pod_subnet))
    agrees("Backend", network["Backend"]["Type"], "vxlan")
