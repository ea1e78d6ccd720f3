"""Layer services: what the API knows is there as metrics."""

from __future__ import annotations

import pytest

from addons.kube_state_metrics.telling import NODES, architectures
from addons.prometheus.asking import PrometheusApi
from lab.checks.driver import Driver
from lab.checks.verbs import becomes

SEEN_SECONDS = 90
"""It is looked at every half minute, and begun anew when its pod is."""


@pytest.mark.check("P3-59")
def test_every_node_is_told_with_its_architecture(driver: Driver) -> None:
    """The nodes are the inventory's, each with its architecture, so that charts and rules can tell by it."""
    wanted = {name: driver.inventory.hosts[name].arch.value for name in driver.inventory.nodes}
    prometheus = PrometheusApi(driver)
    becomes(
        "architectures of nodes",
        lambda: architectures(prometheus.vector(NODES)),
        lambda found: found == wanted,
        within=SEEN_SECONDS,
        expected=", ".join(f"{name}: {arch}" for name, arch in wanted.items()),
        command="kubectl get nodes --label-columns kubernetes.io/arch",
    )
