"""What lives beside hosts and objects: nodes, their labels, machines that left the file."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.nodes import CONTROL_PLANE, OF_MASTERS
from lab.errors import InputError, PreflightError
from lab.machines import State
from lab.steps import leaving
from lab.steps.engine import something_to_do
from tests.unit.steps.living import NODE, asked, build, mended, plan, said
from tests.world import INVENTORY, World, inventory

pytestmark = pytest.mark.usefixtures("healthy", "nothing_unplanned")


def test_a_plan_of_a_good_lab_is_empty(lab: World) -> None:
    assert not something_to_do(plan(lab))


def network_pod(lab: World, node: str) -> str:
    """Path of a pod of the network's add-on on a node."""
    name = f"kube-flannel-ds-{node}"
    path = f"/api/v1/namespaces/kube-flannel/pods/{name}"
    lab.api.objects[path] = {
        "metadata": {"name": name, "namespace": "kube-flannel"},
        "spec": {"nodeName": node, "hostNetwork": True},
    }
    return path


def test_c47_a_new_node_object_is_told_the_machines_end_of_the_pods_network(lab: World) -> None:
    """Flannel writes it there when it starts, so that the others find the way."""
    del lab.api.objects[NODE.format("worker-1")]
    path, _ = network_pod(lab, "worker-1"), network_pod(lab, "worker-2")
    mended(lab)
    assert lab.api.deleted == [path]


def test_c47_objects_are_applied_when_webhooks_can_be_reached_again(lab: World) -> None:
    del lab.api.objects[NODE.format("worker-1")]
    lab.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker")
    steps = {step.key: step for step in plan(lab)}
    assert "member:worker-1" in steps["addon-metallb"].after


def test_the_network_itself_waits_for_no_node(lab: World) -> None:
    """A build that was killed before it came to the network left nodes that wait for it."""
    lab.hosts["master-1"].links = {}
    lab.api.objects.pop("/apis/apps/v1/namespaces/kube-flannel/daemonsets/kube-flannel-ds")
    steps = {step.key: step for step in plan(lab)}
    assert "member:master-1" in steps
    assert not steps["addon-flannel"].after


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
    path, other, _ = (network_pod(lab, name) for name in ("worker-1", "worker-2", "master-1"))
    why = f"there is no route to {lost} (worker-2) by flannel.1"
    assert said(lab) == {"worker-1": (f"restart the pods' network on this node: {why}",)}
    delete = lab.api.delete

    def deleted(place: str, options: Any = None) -> bool:
        if place == path:
            lab.connect()
        return delete(place, options)

    lab.api.delete = deleted  # type: ignore[method-assign,assignment]
    mended(lab)
    assert lab.api.deleted == [path, other], "worker-2 may not have told its end"


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
        (
            "worker-3",
            (f"has a Node object and is no node of the file, and nothing is built while it works: {way}",),
        ),
    ]
    assert something_to_do(plan(smaller))
    ran = list(smaller.hosts["worker-1"].ran)
    with pytest.raises(PreflightError, match="worker-3: works as a node of the cluster") as told:
        build(smaller)
    assert "invoke destroy --host worker-3; or write it back" in told.value.next_step
    assert smaller.hosts["worker-1"].ran == ran
    assert smaller.provider.state("worker-3") is State.RUNNING
    assert smaller.api.deleted == []


def test_a_machine_that_left_the_file_goes_with_its_node_when_a_person_says_so(smaller: World) -> None:
    made = smaller.build()
    assert made.engine.execute(iter([leaving.one(made, "worker-3", lose_quorum=False)]))
    made.run.close()
    assert smaller.provider.state("worker-3") is State.ABSENT
    assert smaller.api.deleted == [NODE.format("worker-3")]
    assert build(smaller), "the others close their firewalls to it"
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
