"""A flag of a static pod that kubeadm does not write, or writes otherwise, is a difference of that master."""

from __future__ import annotations

import pytest

from lab.cluster.kubeadm_flags import API_SERVER, COMPONENTS, CONTROLLERS, SCHEDULER
from lab.cluster.settled import Master, configuration_in, of_master, wanted_flags
from lab.inventory.settled import Way
from lab.render.bundle import pins
from lab.render.kubeadm import init
from tests.fakes import CONTAINERS
from tests.world import inventory

LAB = inventory()
CLUSTER = configuration_in(init(LAB, CONTAINERS, pins(LAB), "master-2"))


def line(component: str, **other: str) -> tuple[str, ...]:
    """What kubeadm writes, with other flags; "" leaves one out."""
    flags = wanted_flags(LAB, CLUSTER, component)
    flags |= {"advertise-address": "10.1.1.12"} if component == API_SERVER else {}
    flags |= {name.replace("_", "-"): value for name, value in other.items()}
    return (component, *(f"--{name}={value}" for name, value in flags.items() if value))


def told(component: str, **other: str) -> list[tuple[str, str, str, str]]:
    manifests = {name: line(name) for name in COMPONENTS} | {component: line(component, **other)}
    names = frozenset(CLUSTER["apiServer"]["certSANs"])
    found = [*of_master(LAB, CLUSTER, Master("master-2", {}, manifests, names, names), LAB.nodes)]
    assert all(item.where == f"manifest of {component} on master-2" for item in found)
    assert all(item.way is Way.RECONFIGURE for item in found)
    return [(item.field, item.setting, item.living, item.wanted) for item in found]


def test_what_kubeadm_writes_is_no_difference() -> None:
    assert told(API_SERVER) == []


@pytest.mark.parametrize(
    ("component", "flag", "value", "wanted"),
    [
        (API_SERVER, "profiling", "false", "not set"),
        (API_SERVER, "authorization-mode", "AlwaysAllow", "Node,RBAC"),
        (API_SERVER, "enable-admission-plugins", "", "NodeRestriction"),
        (CONTROLLERS, "terminated-pod-gc-threshold", "10", "not set"),
        (CONTROLLERS, "bind-address", "0.0.0.0", "127.0.0.1"),
        (SCHEDULER, "kube-api-qps", "49", "not set"),
        (SCHEDULER, "leader-elect", "false", "true"),
    ],
)
def test_a_flag_that_a_hand_has_written_is_one(component: str, flag: str, value: str, wanted: str) -> None:
    expected = [("kubernetes", flag, value or "not set", wanted)]
    assert told(component, **{flag.replace("-", "_"): value}) == expected
