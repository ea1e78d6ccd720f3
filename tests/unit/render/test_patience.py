"""A slow container is not a dead one: probes of a patient lab's pods."""

from __future__ import annotations

from typing import Any

import yaml

from lab.inventory.models import Inventory
from lab.render import kubeadm
from lab.render.bundle import bundle, pins
from lab.render.patience import patient
from tests.fakes import CONTAINERS
from tests.world import INVENTORY, inventory

SLOW = INVENTORY.replace("provider: lxc", "provider: lxc\npatience: 10")


def files(found: Inventory, host: str) -> dict[str, str]:
    return {item.path: item.text for item in bundle(found, CONTAINERS, pins(found), host).files}


def test_static_pods_of_masters_are_patched_and_nobody_elses() -> None:
    made = files(inventory(SLOW), "master-1")
    pod = yaml.safe_load(made["/etc/kubernetes/patches/kube-apiserver.yaml"])
    (container,) = pod["spec"]["containers"]
    assert container == {
        "name": "kube-apiserver",
        "livenessProbe": {"timeoutSeconds": 150},
        "startupProbe": {"timeoutSeconds": 150},
    }
    assert len([path for path in made if path.startswith("/etc/kubernetes/patches/")]) == 4
    assert not [path for path in files(inventory(SLOW), "worker-1") if "patches" in path]
    assert not [path for path in files(inventory(), "master-1") if "patches" in path]


def test_kubeadm_is_told_of_the_patches() -> None:
    found = inventory(SLOW)
    (document,) = (
        item
        for item in yaml.safe_load_all(kubeadm.init(found, CONTAINERS, pins(found), "master-1"))
        if item["kind"] == "InitConfiguration"
    )
    assert document["patches"] == {"directory": "/etc/kubernetes/patches"}
    assert "patches" not in kubeadm.init(inventory(), CONTAINERS, pins(inventory()), "master-1")


def workload() -> dict[str, Any]:
    probe = {"httpGet": {"path": "/", "port": 80}}
    container = {"name": "one", "livenessProbe": {**probe, "timeoutSeconds": 2}, "readinessProbe": probe}
    return {"kind": "Deployment", "spec": {"template": {"spec": {"containers": [container]}}}}


def test_probes_of_add_ons_are_as_patient_as_the_lab() -> None:
    made = patient(workload(), inventory(SLOW))["spec"]["template"]["spec"]["containers"][0]
    assert (made["livenessProbe"]["timeoutSeconds"], made["livenessProbe"]["failureThreshold"]) == (20, 30)
    assert (made["readinessProbe"]["timeoutSeconds"], made["readinessProbe"]["failureThreshold"]) == (10, 30)
    assert "startupProbe" not in made


def test_without_patience_nothing_is_changed() -> None:
    assert patient(workload(), inventory()) == workload()
    assert patient({"kind": "Namespace"}, inventory(SLOW)) == {"kind": "Namespace"}
    assert patient({"kind": "ClusterRole", "spec": None}, inventory(SLOW))["kind"] == "ClusterRole"
