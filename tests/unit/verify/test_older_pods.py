"""Pods against the templates of their workloads: what the API adds is accepted, an older field is named."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lab.checks.older_pods import older
from lab.objects import Object

TEMPLATE: Object = {
    "metadata": {"creationTimestamp": None, "labels": {"app": "toy"}, "annotations": {"digest": "1"}},
    "spec": {
        "containers": [
            {
                "name": "toy",
                "image": "toy:1",
                "args": ["--a=1", "--b=2"],
                "env": [{"name": "A", "value": "1"}],
                "resources": {"limits": {"memory": "1Gi"}},
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "initContainers": [{"name": "await", "image": "toy:1", "resources": {}}],
        "affinity": {
            "nodeAffinity": {"required": "linux"},
            "podAntiAffinity": {"required": [{"topology": "host"}]},
        },
        "tolerations": [{"operator": "Exists"}],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "securityContext": {},
        "hostNetwork": True,
    },
}
"""As the API holds it."""


def made(owner: str, **spec: Any) -> Object:
    """A pod that a controller has made of the template, with what API, admission and controllers add."""
    found = copy.deepcopy(TEMPLATE)
    token = {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    first, second = found["spec"]["containers"][0], found["spec"]["initContainers"][0]
    first["volumeMounts"].append(token)
    second["volumeMounts"] = [token]
    first["resources"]["requests"] = {"memory": "1Gi"}
    first["ports"][0]["hostPort"] = 80
    first["resizePolicy"] = [{"resourceName": "cpu"}]
    found["spec"] |= {"nodeName": "worker-1", "priority": 0, "enableServiceLinks": True}
    found["spec"]["affinity"]["nodeAffinity"] = {"required": {"matchFields": ["worker-1"]}}
    found["spec"]["tolerations"].append({"key": "node.kubernetes.io/not-ready", "operator": "Exists"})
    found["spec"]["volumes"].append({"name": "kube-api-access-x", "projected": {}})
    found["spec"] |= spec
    found["metadata"] |= {
        "name": "toy-1",
        "namespace": "toys",
        "labels": {"app": "toy", "pod-template-hash": "1"},
        "ownerReferences": [{"uid": owner, "controller": True}],
    }
    return found


def container(**changes: Any) -> list[Object]:
    """The pod's container with other fields; None takes one away."""
    found = made("ds")["spec"]["containers"][0] | changes
    return [{key: value for key, value in found.items() if value is not None}]


def workload(template: Object = TEMPLATE) -> Object:
    return {"metadata": {"name": "toy", "uid": "ds"}, "spec": {"template": template}}


def lines(pod: Object, template: Object = TEMPLATE) -> list[str]:
    return list(older("DaemonSet", workload(template), [pod]))


def test_a_pod_of_the_template_is_accepted() -> None:
    assert lines(made("ds")) == []


def test_pods_of_others_and_those_that_end_are_not_asked() -> None:
    pod = made("ds", hostNetwork=False)
    assert lines(made("another", hostNetwork=False)) == []
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert lines(pod) == []


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"hostNetwork": False}, "spec.hostNetwork: no, the template of its DaemonSet says yes"),
        ({"containers": container(image="toy:0")}, "spec.containers[name=toy].image: toy:0"),
        ({"containers": container(args=["--a=1"])}, "spec.containers[name=toy].args: --a=1, the template"),
        ({"containers": container(env=[])}, "spec.containers[name=toy].env[0]: nothing, the template"),
        (
            {"containers": container(env=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}])},
            "spec.containers[name=toy].env[name=B]: name: B, value: 2, the template of its DaemonSet says",
        ),
        (
            {"containers": container(livenessProbe={"exec": {}})},
            "spec.containers[name=toy].livenessProbe",
        ),
        ({"containers": container(volumeMounts=[])}, "spec.containers[name=toy].volumeMounts[0]: nothing"),
        ({"tolerations": []}, "spec.tolerations[0]: nothing, the template of its DaemonSet says operator"),
    ],
)
def test_what_a_pod_has_otherwise_is_named(spec: Object, told: str) -> None:
    [line] = lines(made("ds", **spec))
    assert line.startswith("toys/toy-1 on worker-1: ")
    assert told in line


def test_an_annotation_that_tells_of_a_restart_counts() -> None:
    newer = copy.deepcopy(TEMPLATE)
    newer["metadata"]["annotations"]["digest"] = "2"
    assert lines(made("ds"), newer) == [
        "toys/toy-1 on worker-1: metadata.annotations.digest: 1, the template of its DaemonSet says 2"
    ]


def test_a_deployments_pods_are_those_of_all_its_replica_sets() -> None:
    sets = [
        {"metadata": {"uid": uid, "ownerReferences": [{"uid": owner, "controller": True}]}}
        for uid, owner in (("new", "ds"), ("old", "ds"), ("else", "another"))
    ]
    pods = [made("new"), made("old", hostNetwork=False), made("else", hostNetwork=False)]
    found = list(older("Deployment", workload(), pods, sets))
    assert [line.partition(": ")[2] for line in found] == [
        "spec.hostNetwork: no, the template of its Deployment says yes"
    ]
