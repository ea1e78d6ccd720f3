"""What differs from a cluster's birth is told in a few lines, however many nodes there are."""

from __future__ import annotations

import pytest

from lab.cluster.deviations import told
from lab.cluster.settled import Deviation
from lab.inventory.settled import Way


def part(node: int, wanted: str = "a part of 10.200.0.0/16") -> Deviation:
    where, living = f"Node worker-{node}", f"10.244.{node}.0/24"
    return Deviation("kubernetes.pod_subnet", "podCIDR", where, living, wanted, Way.REBUILD)


def moved(node: int) -> Deviation:
    field, where = f"hosts.worker-{node}.address", f"Node worker-{node}"
    return Deviation(field, "InternalIP", where, f"10.1.1.{node}", f"10.2.2.{node}", Way.REBUILD)


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_nodes_with_values_of_their_own_have_a_line_each(count: int) -> None:
    lines = told(part(node) for node in range(count))
    assert len(lines) == count
    assert lines[0] == (
        "kubernetes.pod_subnet: podCIDR: the cluster has 10.244.0.0/24, "
        "the file says a part of 10.200.0.0/16 (Node worker-0)"
    )


@pytest.mark.parametrize(("count", "others"), [(4, "1 other"), (200, "197 others")])
def test_many_nodes_that_say_the_same_have_one_line(count: int, others: str) -> None:
    assert told(part(node) for node in range(count)) == [
        f"kubernetes.pod_subnet: podCIDR: the cluster has 10.244.0.0/24, 10.244.1.0/24, 10.244.2.0/24 and "
        f"{others}, the file says a part of 10.200.0.0/16 (Node worker-0, worker-1, worker-2 and {others})"
    ]


def test_a_value_that_all_nodes_have_is_one_line_with_a_few_of_them() -> None:
    same = [Deviation("a", "b", f"Node n{number}", "24", "25", Way.REBUILD) for number in range(9)]
    assert told(same) == ["a: b: the cluster has 24, the file says 25 (Node n0, n1, n2 and 6 others)"]


def test_addresses_of_many_hosts_have_one_line_and_other_settings_their_own() -> None:
    lines = told([*(moved(node) for node in range(20)), part(1)])
    assert lines == [
        "hosts.worker-0.address, hosts.worker-1.address, hosts.worker-2.address and 17 others: InternalIP: "
        "the cluster has 10.1.1.0, 10.1.1.1, 10.1.1.2 and 17 others, "
        "the file says 10.2.2.0, 10.2.2.1, 10.2.2.2 and 17 others "
        "(Node worker-0, worker-1, worker-2 and 17 others)",
        told([part(1)])[0],
    ]


def test_places_of_different_kinds_stand_apart() -> None:
    where = ("ConfigMap kubeadm-config", "kube-apiserver of a", "manifest of kube-apiserver on a", "Node a")
    [line] = told(Deviation("f", "s", place, "1", "2", Way.REBUILD) for place in where)
    assert line.endswith(
        "(ConfigMap kubeadm-config; kube-apiserver of a; manifest of kube-apiserver on a; Node a)"
    )
