"""Flannel as it runs: what it made of the declared settings is accepted, every other value is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from addons.flannel.running import differences
from tests.world import inventory

SUBNET = """FLANNEL_NETWORK=10.244.0.0/16
FLANNEL_SUBNET=10.244.3.1/24
FLANNEL_MTU=1450
FLANNEL_IPMASQ=true
"""


def link(**changes: Any) -> str:
    """What `ip -d -j link show flannel.1` tells (iproute2 6.1), in short."""
    data = {"id": 1, "local": "10.1.1.31", "link": "eth0", "port": 8472, "learning": False} | changes
    return json.dumps([{"ifname": "flannel.1", "linkinfo": {"info_kind": "vxlan", "info_data": data}}])


def test_flannel_with_its_configmap_is_accepted() -> None:
    assert differences(inventory(), "worker-1", link(), SUBNET) == []


@pytest.mark.parametrize(
    ("made", "written", "told"),
    [
        ({"port": 4789}, SUBNET, "vxlan.port: 4789, not 8472"),
        ({"local": "10.0.2.15"}, SUBNET, "vxlan.local: 10.0.2.15, not 10.1.1.31"),
        ({}, SUBNET.replace("10.244.0.0", "10.200.0.0"), "FLANNEL_NETWORK: 10.200.0.0/16, not 10.244.0.0/16"),
        ({}, SUBNET.replace("true", "false"), "FLANNEL_IPMASQ: false, not true"),
        ({}, SUBNET.partition("\n")[2], "FLANNEL_NETWORK: nothing, not 10.244.0.0/16"),
    ],
)
def test_a_value_of_another_start_is_named(made: dict[str, Any], written: str, told: str) -> None:
    assert differences(inventory(), "worker-1", link(**made), written) == [told]
