"""What runs with something older than it should: processes, units, pods."""

from __future__ import annotations

from typing import Any

import pytest

from lab.hosts.units import clock
from tests.fake_host import BEFORE, LATER
from tests.unit.steps.living import asked, mended, plan, said
from tests.world import INVENTORY, World, inventory

pytestmark = pytest.mark.usefixtures("healthy", "nothing_unplanned")


def test_c49_processes_that_run_with_older_certificates_are_restarted_one_master_after_the_other(
    lab: World,
) -> None:
    for name in lab.inventory.masters:
        files = {"/etc/kubernetes/scheduler.conf": LATER}
        lab.hosts[name].static_pods = {
            "kube-scheduler": {"since": BEFORE, "files": files},
            "kube-controller-manager": {
                "since": LATER,
                "files": {"/etc/kubernetes/controller-manager.conf": BEFORE},
            },
        }
    told = (
        f"restart kube-scheduler: it runs since {clock(BEFORE)}, and /etc/kubernetes/scheduler.conf is of "
        f"{clock(LATER)}"
    )
    steps = [step for step in plan(lab) if step.will]
    assert [(step.key, step.will) for step in steps] == [
        (f"restart:{name}", (told,)) for name in lab.inventory.masters
    ]
    assert [step.needs for step in steps] == [
        {"api"},
        {"api", "restart:master-1"},
        {"api", "restart:master-2"},
    ]
    mended(lab)
    for name in lab.inventory.masters:
        assert [command[:2] for command in lab.hosts[name].ran] == [["sh", "-c"]]
        assert "kube-scheduler" in lab.hosts[name].ran[0][2]


def test_an_api_server_is_restarted_out_of_the_rotation_and_with_a_gate_behind_it(lab: World) -> None:
    lab.hosts["master-2"].static_pods = {
        "kube-apiserver": {"since": BEFORE, "files": {"/etc/kubernetes/pki/sa.pub": LATER}}
    }
    keys = [step.key for step in plan(lab)]
    assert keys.index("restart:master-2") + 1 == keys.index("gate:master-2")
    lab.events.clear()
    mended(lab)
    assert lab.events == [("master-2", "drain"), ("master-2", "ready")]


def test_a_unit_that_runs_with_an_older_file_reads_it_again(lab: World) -> None:
    lab.hosts["haproxy"].written["/etc/haproxy/haproxy.cfg"] = LATER
    (sentence,) = said(lab)["haproxy"]
    assert sentence.startswith("reload haproxy: /etc/haproxy/haproxy.cfg is of ")
    mended(lab)
    assert lab.hosts["haproxy"].ran == [["systemctl", "try-reload-or-restart", "haproxy"]]


def test_a_unit_that_has_failed_is_started_again(lab: World) -> None:
    lab.hosts["haproxy"].units["haproxy.service"]["active"] = "failed"
    assert said(lab) == {"haproxy": ("start haproxy.service (it is failed)",)}
    mended(lab)
    assert lab.hosts["haproxy"].ran[0] == ["systemctl", "reset-failed", "haproxy.service"]


COREDNS = {
    "kind": "Pod",
    "metadata": {
        "name": "coredns-a",
        "namespace": "kube-system",
        "uid": "1",
        "ownerReferences": [{"kind": "ReplicaSet", "name": "coredns-1", "uid": "2"}],
    },
    "spec": {"dnsPolicy": "Default", "nodeName": "worker-1"},
}
SET = {
    "metadata": {
        "name": "coredns-1",
        "namespace": "kube-system",
        "ownerReferences": [{"kind": "Deployment", "name": "coredns", "uid": "3"}],
    }
}
PODS = "/api/v1/namespaces/kube-system/pods/"


def with_pod(
    lab: World, name: str = "coredns-a", text: str = "nameserver 10.1.1.1\n", **spec: object
) -> None:
    """A pod of CoreDNS's on worker-1, with what it was given as its resolver."""
    item = {**COREDNS, "metadata": {**COREDNS["metadata"], "name": name}, "spec": {**COREDNS["spec"], **spec}}  # type: ignore[dict-item]
    lab.api.objects[f"{PODS}{name}"] = item
    lab.api.objects["/apis/apps/v1/namespaces/kube-system/replicasets/coredns-1"] = SET
    lab.hosts["worker-1"].resolvers[f"kube-system/{name}"] = text


def replaced(lab: World) -> list[str]:
    """Each pod that is deleted is followed by one with what its node has now; the names that went."""
    delete, gone = lab.api.delete, []

    def deleted(place: str, options: Any = None) -> bool:
        name = place.rpartition("/")[2]
        gone.append(name)
        text = lab.hosts["worker-1"].resolvers.pop(f"kube-system/{name}")
        assert text
        return delete(place, options)

    lab.api.delete = deleted  # type: ignore[method-assign,assignment]
    return gone


def test_pods_with_their_nodes_dns_are_replaced_one_by_one_when_it_has_changed(lab: World) -> None:
    for name in ("coredns-a", "coredns-b"):
        with_pod(lab, name)
    assert said(lab) == {}
    lab.inventory = inventory(
        INVENTORY.replace(
            "gateway: 10.1.1.1", "gateway: 10.1.1.1, nameservers: [10.1.1.2], search_domains: [lan.home.arpa]"
        )
    )
    told = said(lab)
    assert "write /etc/kubernetes/resolv.conf" in told["worker-1"]
    now = "10.1.1.2, search lan.home.arpa"
    assert told[""] == tuple(
        f"replace kube-system/coredns-{letter} on worker-1: it asks 10.1.1.1, its node's file says {now}"
        for letter in "ab"
    )
    gone = replaced(lab)
    mended(lab)
    assert gone == ["coredns-a", "coredns-b"]


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("nameserver 10.96.0.10\nsearch kube-system.svc.cluster.local\n", {"dnsPolicy": "ClusterFirst"}),
        ("nameserver 192.0.2.1\n", {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"]}}),
        ("nameserver 192.0.2.1\n", {"dnsConfig": {"nameservers": ["192.0.2.1"]}}),
    ],
    ids=["the cluster's", "its own", "its own beside the node's"],
)
def test_pods_with_another_dns_are_left_alone(lab: World, text: str, spec: dict[str, Any]) -> None:
    with_pod(lab, text=text, **spec)
    assert said(lab) == {}


def test_a_pod_in_the_hosts_network_has_the_nodes_dns_and_a_bare_one_is_a_persons(lab: World) -> None:
    with_pod(lab, "net", "nameserver 192.0.2.1\n", dnsPolicy="ClusterFirst", hostNetwork=True)
    assert said(lab) == {
        "": ("replace kube-system/net on worker-1: it asks 192.0.2.1, its node's file says 10.1.1.1",)
    }
    del lab.api.objects[f"{PODS}net"]["metadata"]["ownerReferences"]
    assert said(lab) == {}
    (told,) = asked(lab)[""]
    assert told.endswith("delete it and make it again: nobody else does")
