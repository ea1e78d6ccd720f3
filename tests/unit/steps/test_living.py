"""What lives beside hosts and objects: nodes, processes, copies of files, machines that left the file."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.nodes import CONTROL_PLANE, OF_MASTERS
from lab.errors import DeadlineError, FailedError, InputError
from lab.hosts.units import clock
from lab.machines import State
from lab.operations import build as operation
from lab.steps import leaving
from lab.steps.engine import Step, listed, not_looked_at, something_to_do
from tests.fakes import Call
from tests.world import BEFORE, INVENTORY, LATER, World, inventory

pytestmark = pytest.mark.usefixtures("healthy", "nothing_unplanned")

NODE = "/api/v1/nodes/{}"


@pytest.fixture
def lab(world: World) -> World:
    """A lab that is built."""
    build(world)
    for host in world.hosts.values():
        host.ran.clear()
    world.kubeadm_runs.clear()
    world.api.deleted.clear()
    return world


def build(world: World) -> bool:
    made = world.build()
    try:
        return made.engine.execute(operation.steps(made))
    finally:
        made.run.close()


def plan(world: World) -> list[Step]:
    made = world.build()
    made.planning = True
    try:
        return listed(operation.steps(made))
    finally:
        made.run.close()


def said(world: World) -> dict[str, tuple[str, ...]]:
    """What is to be done, by host or part of the lab."""
    return {step.subject: step.will for step in plan(world) if step.will}


def asked(world: World) -> dict[str, tuple[str, ...]]:
    return {step.subject: step.asks for step in plan(world) if step.asks}


def mended(world: World) -> None:
    """A build mends all that the plan named, and then the plan is empty."""
    assert build(world)
    assert said(world) == {}
    assert not something_to_do(plan(world))


def test_a_plan_of_a_good_lab_is_empty(lab: World) -> None:
    assert not something_to_do(plan(lab))


def test_c47_a_node_object_that_is_gone_comes_back_with_labels_and_taints(lab: World) -> None:
    del lab.api.objects[NODE.format("master-3")]
    del lab.api.objects[NODE.format("worker-1")]
    told = said(lab)
    assert set(told) == {"master-3", "worker-1"}
    assert told["worker-1"][0].startswith("restart the kubelet: its Node object worker-1 is gone")
    mended(lab)
    assert lab.hosts["worker-1"].ran[0] == ["systemctl", "restart", "kubelet"]
    assert lab.kubeadm_runs == []
    assert set(lab.etcd) == set(lab.inventory.masters)
    master = lab.api.objects[NODE.format("master-3")]
    assert master["metadata"]["labels"] == dict.fromkeys(OF_MASTERS, "")
    assert master["spec"]["taints"] == [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]
    assert lab.api.objects[NODE.format("worker-1")]["metadata"]["labels"] == {"rack": "no", "slot": "0600"}


def test_c47_a_node_that_registered_with_another_part_gets_a_bridge_of_it(lab: World) -> None:
    del lab.api.objects[NODE.format("worker-1")]
    lab.api.objects[NODE.format("filler")] = {
        "metadata": {"name": "filler"},
        "spec": {"podCIDR": "10.244.9.0/24"},
    }
    lab.register("worker-1")
    node = lab.api.objects[NODE.format("worker-1")]
    node["spec"]["podCIDR"] = "10.244.77.0/24"
    del lab.api.objects[NODE.format("filler")]
    lab.connect()
    owners = [{"kind": "ReplicaSet", "name": "web", "uid": "4"}]
    for name, own in (("old", {"ownerReferences": owners}), ("bare", {})):
        lab.api.objects[f"/api/v1/namespaces/default/pods/{name}"] = {
            "metadata": {"name": name, "namespace": "default", **own},
            "spec": {"nodeName": "worker-1"},
        }
    (sentence,) = said(lab)["worker-1"]
    assert sentence.startswith("remove the bridge and replace the pods behind it: cni0 has 10.244.")
    assert sentence.endswith("the node's part of the pods' network is 10.244.77.0/24")
    mended(lab)
    assert lab.api.deleted == ["/api/v1/namespaces/default/pods/old"], "nobody would make the other again"


def test_a_node_without_a_route_to_another_gets_it_from_the_networks_own_pods(lab: World) -> None:
    lost = lab.api.objects[NODE.format("worker-2")]["spec"]["podCIDR"]
    del lab.hosts["worker-1"].routes[lost]
    path = "/api/v1/namespaces/kube-flannel/pods/kube-flannel-ds-x"
    lab.api.objects[path] = {
        "metadata": {"name": "kube-flannel-ds-x", "namespace": "kube-flannel"},
        "spec": {"nodeName": "worker-1", "hostNetwork": True},
    }
    why = f"there is no route to {lost} (worker-2) by flannel.1"
    assert said(lab) == {"worker-1": (f"restart the pods' network on this node: {why}",)}
    delete = lab.api.delete

    def deleted(place: str, options: Any = None) -> bool:
        if place == path:
            lab.connect()
        return delete(place, options)

    lab.api.delete = deleted  # type: ignore[method-assign,assignment]
    mended(lab)
    assert lab.api.deleted == [path]


def test_labels_and_taints_are_the_inventorys(lab: World) -> None:
    worker, master = (lab.api.objects[NODE.format(name)] for name in ("worker-1", "master-2"))
    worker["metadata"]["labels"] |= {"rack": "yes", "mine": "by hand"}
    passing = {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"}
    worker["spec"]["taints"] = [{"key": "defect", "effect": "NoExecute"}, passing]
    master["spec"]["taints"] = []
    del master["metadata"]["labels"][CONTROL_PLANE]
    assert said(lab) == {
        "worker-1": (
            "label rack=no on Node worker-1 (it is yes)",
            "remove taint defect:NoExecute from Node worker-1, which the inventory does not name",
        ),
        "master-2": (
            f"label {CONTROL_PLANE}= on Node master-2",
            f"taint {CONTROL_PLANE}:NoSchedule on Node master-2",
        ),
    }
    mended(lab)
    worker = lab.api.objects[NODE.format("worker-1")]
    assert worker["metadata"]["labels"]["mine"] == "by hand"
    assert worker["spec"]["taints"] == [passing]


def test_a_label_that_left_the_inventory_goes(lab: World) -> None:
    lab.inventory = inventory(INVENTORY.replace(', slot: "0600"', ""))
    told = "remove label slot from Node worker-1, which the inventory does not name"
    assert said(lab) == {"worker-1": (told,)}
    mended(lab)


def test_a_cordoned_node_is_told_and_left_to_a_person(lab: World) -> None:
    lab.api.objects[NODE.format("worker-1")]["spec"]["unschedulable"] = True
    way = "is cordoned, so no pod is placed there: invoke kubectl -- uncordon worker-1 ends that"
    assert asked(lab) == {"worker-1": (way,)}
    assert something_to_do(plan(lab))
    assert not build(lab)
    assert asked(lab), "nobody has undone what somebody meant"


@pytest.fixture
def smaller(lab: World) -> World:
    """worker-3 was in the file, and lives."""
    lab.inventory = inventory(f"{INVENTORY}  worker-3: {{role: worker, address: 10.1.1.33}}\n")
    build(lab)
    lab.inventory = inventory()
    return lab


def test_machines_and_nodes_that_left_the_file_are_named_and_stay(smaller: World) -> None:
    way = "invoke destroy --host worker-3 removes it"
    found = [step for step in plan(smaller) if step.asks]
    assert [(step.subject, step.asks) for step in found] == [
        ("worker-3", (f"is a machine of this lab (running) and not in the file: {way}",)),
        ("worker-3", (f"has a Node object and is no node of the file: {way}",)),
    ]
    assert something_to_do(plan(smaller))
    build(smaller)
    assert smaller.provider.state("worker-3") is State.RUNNING
    assert smaller.api.deleted == []


def test_a_machine_that_left_the_file_goes_with_its_node_when_a_person_says_so(smaller: World) -> None:
    build(smaller)
    made = smaller.build()
    assert made.engine.execute(iter([leaving.one(made, "worker-3", lose_quorum=False)]))
    made.run.close()
    assert smaller.provider.state("worker-3") is State.ABSENT
    assert smaller.api.deleted == [NODE.format("worker-3")]
    assert not something_to_do(plan(smaller))


def test_a_master_that_left_the_file_leaves_etcd_first(lab: World) -> None:
    kept = [line for line in INVENTORY.splitlines() if "master-3" not in line]
    text = "\n".join(kept).replace("master-2: {role: control-plane", "master-2: {role: worker")
    lab.inventory = inventory(text.replace("hosts:", "kubernetes: {single_master: true}\nhosts:"))
    made = lab.build()
    steps = leaving.one(made, "master-3", lose_quorum=False)
    made.run.close()
    assert [step.key for step in steps] == ["leave:master-3", "remove:master-3", "node:master-3"]
    assert "its member is removed first" in "; ".join(steps[0].will)


def test_a_name_that_nobody_knows_is_no_machine(lab: World) -> None:
    made = lab.build()
    with pytest.raises(InputError, match="host worker-9: no such host"):
        leaving.one(made, "worker-9", lose_quorum=False)
    made.run.close()


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


def silent(lab: World, *names: str) -> None:
    """These machines run and let nobody in."""

    def no(call: Call) -> Exception:
        return FailedError(f"{call.host}: not reachable by SSH: no route to host")

    for name in names:
        lab.ssh.on(name, "", no)


@pytest.mark.parametrize("name", ["worker-1", "master-2", "haproxy"])
def test_a_plan_names_who_does_not_answer_and_goes_on_with_the_rest(lab: World, name: str) -> None:
    lab.hosts["worker-2"].write("/etc/hosts", "", "0644", "root:root")
    silent(lab, name)
    steps = plan(lab)
    assert [step.host for step in steps if step.unknown] == [name]
    assert {step.subject: step.will for step in steps if step.will} == {"worker-2": ("write /etc/hosts",)}
    error = not_looked_at(steps)
    assert error
    assert error.message == f"{name}: not reachable by SSH: no route to host"


def test_a_plan_never_founds_a_cluster_beside_a_master_that_is_silent(lab: World) -> None:
    silent(lab, *lab.inventory.masters)
    assert not any(step.phase == "init" for step in plan(lab))
    error = not_looked_at(plan(lab))
    assert error
    for name in lab.inventory.masters:
        assert f"{name}: " in error.message


def test_a_plan_does_not_wait_for_a_machine_that_boots(lab: World) -> None:
    lab.hosts["worker-1"].booting = True
    error = not_looked_at(plan(lab))
    assert error
    assert error.message.startswith("worker-1: is still booting")


def test_reasons_that_differ_are_all_told() -> None:
    def step(host: str, error: Exception) -> Step:
        return Step("converge", host, "converge", frozenset(), lambda: (False, ""), unknown=error)  # type: ignore[arg-type]

    both = [step("a", FailedError("a: no")), step("b", DeadlineError("look at b", 20, "silence"))]
    error = not_looked_at(both)
    assert error
    assert error.exit_code == 1
    assert (
        error.message
        == "2 things could not be looked at:\n  a: no\n  look at b: not within 20 s; last seen: silence"
    )
    alike = not_looked_at([both[1], both[1]])
    assert alike is both[1].unknown
    assert not_looked_at([]) is None


def test_a_pool_that_is_narrowed_says_which_services_lose_their_address(lab: World) -> None:
    for name, address in (("kept", "10.1.1.101"), ("lost", "10.1.1.140")):
        lab.api.objects[f"/api/v1/namespaces/default/services/{name}"] = {
            "metadata": {"name": name, "namespace": "default"},
            "status": {"loadBalancer": {"ingress": [{"ip": address}]}},
        }
    lab.inventory = inventory(INVENTORY.replace("10.1.1.100-10.1.1.150", "10.1.1.100-10.1.1.120"))
    assert said(lab)["metallb"] == (
        "change IPAddressPool/metallb-system/default",
        "Service/default/lost loses 10.1.1.140 of pool default, which no pool of the inventory has",
    )
