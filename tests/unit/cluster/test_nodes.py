"""Where the pods' network of a node is apart from that of others."""

from __future__ import annotations

import pytest

from lab.cluster.nodes import OverlayTrouble, overlay_trouble
from lab.objects import Object


def node(part: str, ready: str = "True") -> Object:
    return {
        "spec": {"podCIDR": part},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


NODES = {"a": node("10.244.0.0/24"), "a-1": node("10.244.1.0/24"), "new": node("10.244.2.0/24", "False")}
LINKS = {"vx": ["10.244.0.0/32"]}


def test_an_end_with_its_address_and_all_routes_has_no_trouble() -> None:
    assert overlay_trouble("vx", "a", NODES, LINKS, {"10.244.1.0/24": "vx"}) is None


def test_a_missing_route_names_the_node_at_its_other_end() -> None:
    told = overlay_trouble("vx", "a", NODES, LINKS, {"10.244.1.0/24": "eth0"})
    assert told == OverlayTrouble("there is no route to 10.244.1.0/24 (a-1) by vx", "a-1")


@pytest.mark.parametrize(
    ("links", "why"),
    [
        ({}, "vx is not there"),
        ({"vx": []}, "vx has no address, and 10.244.0.0/32 is the node's"),
        ({"vx": ["10.244.7.0/32"]}, "vx has 10.244.7.0/32, and 10.244.0.0/32 is the node's"),
    ],
)
def test_a_trouble_of_the_nodes_own_end_has_no_other_end(links: dict[str, list[str]], why: str) -> None:
    assert overlay_trouble("vx", "a", NODES, links, {}) == OverlayTrouble(why)
