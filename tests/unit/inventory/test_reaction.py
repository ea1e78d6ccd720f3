"""The reaction: times that fit together, and one word that reaches every file that holds one of them."""

from __future__ import annotations

import pytest
import yaml

from lab.inventory.models import Inventory
from lab.inventory.reaction import REACTIONS, ApiChecks, Name
from lab.inventory.rules.cluster import grace_period
from lab.render import kubeadm
from lab.render.bundle import bundle, pins
from lab.render.components import kubelet_settings
from tests.fakes import CONTAINERS
from tests.world import INVENTORY, inventory

FAST = INVENTORY + "kubernetes: {reaction: fast}\n"


@pytest.mark.parametrize("name", REACTIONS)
def test_a_live_node_is_never_called_dead(name: Name) -> None:
    found = inventory(INVENTORY + f"kubernetes: {{reaction: {name}}}\n")
    # rounded: upstream's own default of 50 s has no room for a whole renewal behind a dead connection
    assert found.grace_seconds >= min(REACTIONS[name].shortest_grace, 50)
    assert found.grace_seconds > REACTIONS[name].dead_connection
    assert list(grace_period(found)) == []


def test_fast_is_faster_everywhere() -> None:
    slow, fast = inventory(), inventory(FAST)
    for field in ("read_idle", "ping", "status", "lease", "monitor", "toleration"):
        assert getattr(fast.reaction, field) < getattr(slow.reaction, field)
    assert (slow.grace_seconds, fast.grace_seconds) == (50, 10)
    assert (slow.api_checks.milliseconds, fast.api_checks.milliseconds) == (1000, 500)
    assert (slow.api_checks.connect, fast.api_checks.connect) == (2, 1)


def test_the_balancer_of_a_slow_lab_is_as_patient() -> None:
    """In emulation /readyz took longer than 2 s, and the only API server was marked down for good."""
    slow = inventory(FAST.replace("provider: lxc", "provider: lxc\npatience: 10"))
    assert slow.api_checks == ApiChecks(milliseconds=5000, fall=2, connect=10, timeout=20)
    assert slow.api_checks.silence == 10_000
    assert "timeout check 20s" in files(slow, "haproxy")
    assert "timeout check 2s" in files(inventory(), "haproxy")


def test_a_grace_of_ones_own_is_an_upper_bound() -> None:
    own = INVENTORY + "kubernetes: {node_monitor_grace_seconds: 60, reaction: %s}\n"
    assert inventory(own % "default").grace_seconds == 60
    assert inventory(own % "fast").grace_seconds == 10


def files(found: Inventory, host: str) -> str:
    return "\n".join(item.text for item in bundle(found, CONTAINERS, pins(found), host).files)


def test_the_word_reaches_the_files() -> None:
    found = inventory(FAST)
    assert "inter 500ms" in files(found, "haproxy")
    assert "timeout connect 1s" in files(found, "haproxy")
    assert 'Environment="HTTP2_READ_IDLE_TIMEOUT_SECONDS=3"' in files(found, "worker-1")
    assert kubelet_settings(found, CONTAINERS)["nodeLeaseDurationSeconds"] == 8
    cluster = next(
        item
        for item in yaml.safe_load_all(kubeadm.init(found, CONTAINERS, pins(found), "master-1"))
        if item["kind"] == "ClusterConfiguration"
    )
    given = {
        item["name"]: item["value"]
        for part in ("apiServer", "controllerManager")
        for item in cluster[part]["extraArgs"]
    }
    assert given["node-monitor-grace-period"] == "10s"
    assert given["node-monitor-period"] == "1s"
    assert given["default-unreachable-toleration-seconds"] == "20"
