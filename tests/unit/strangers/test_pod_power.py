"""Row P2-15: pods of others and the machines that they run on."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.declared import Declared
from lab.checks.pod_power import MIRROR, of_platform, over_machines
from lab.checks.workspace import LABEL as OF_CHECKS
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.unit.strangers.making import put

PODS = "/api/v1/pods"
LIMITED = {"resources": {"limits": {"memory": "64Mi"}}}


def pod(api: FakeApi, space: str = "shop", node: str = "worker-1", **fields: Any) -> None:
    container = {"name": "main", "image": "example/app:v1"} | fields.pop("container", {})
    meta = {key: fields.pop(key) for key in ("owners", "annotations") if key in fields}
    phase = fields.pop("phase", "Running")
    spec = {"nodeName": node, "containers": [container]} | fields
    put(api, PODS, "x", space, spec=spec, status={"phase": phase}, **meta)


def mounted(path: str, *, read_only: bool = False) -> Object:
    mounts = [{"name": "v", "mountPath": "/v", "readOnly": read_only}]
    return {"volumes": [{"name": "v", "hostPath": {"path": path}}], "container": {"volumeMounts": mounts}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"container": {"securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE", "NET_ADMIN"]}}}},
        {"container": {"ports": [{"containerPort": 80, "hostPort": 8080}]}},
        {"priority": 1000, "priorityClassName": "shop"},
        {"node": "master-1", "container": LIMITED},
        {"phase": "Succeeded", "hostPID": True},
        mounted("/srv/data"),
        mounted("/var/log", read_only=True),
        mounted("/etc/localtime", read_only=True),
    ],
)
def test_pods_without_power_are_accepted(declared: Declared, api: FakeApi, fields: dict[str, Any]) -> None:
    pod(api, **fields)
    assert over_machines(declared) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"container": {"securityContext": {"privileged": True}}},
            "container main is privileged: it is root of its machine",
        ),
        (
            {"container": {"securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}}}},
            "container main has SYS_ADMIN: it is as good as root of its machine",
        ),
        ({"hostPID": True}, "hostPID: sees and ends the machine's processes"),
        ({"hostNetwork": True}, "hostNetwork: has the machine's own network"),
        (
            {"priority": 2_000_001_000, "priorityClassName": "system-node-critical"},
            "priority system-node-critical: pods of the platform make room for it",
        ),
        ({"node": "master-1"}, "runs on master-1 beside etcd, without a limit of its memory"),
        (
            {"container": {"ports": [{"containerPort": 80, "hostPort": 10250}]}},
            "hostPort 10250/TCP: takes what a role listens on (worker-1)",
        ),
        (mounted("/", read_only=True), "hostPath /: keys, sockets or disks of the machine lie there"),
        (
            mounted("/var/lib/kubelet/pki", read_only=True),
            "hostPath /var/lib/kubelet/pki: keys, sockets or disks of the machine lie there",
        ),
        (mounted("/usr/local/bin"), "hostPath /usr/local/bin: writes where the machine's own files lie"),
    ],
)
def test_power_over_a_machine_is_named(
    declared: Declared, api: FakeApi, fields: dict[str, Any], told: str
) -> None:
    pod(api, **fields)
    assert over_machines(declared) == [f"Pod/shop/x: {told}"]


def test_pods_of_one_controller_are_one_line(declared: Declared, api: FakeApi) -> None:
    owner = {"kind": "DaemonSet", "name": "agent", "uid": "u", "controller": True}
    pod(api, hostPID=True, owners=(owner,))
    api.objects["/api/v1/namespaces/shop/pods/y"] = api.objects["/api/v1/namespaces/shop/pods/x"]
    assert over_machines(declared) == ["DaemonSet/shop/agent: hostPID: sees and ends the machine's processes"]


def test_pods_of_checks_and_of_the_platform_are_not_judged_here(declared: Declared, api: FakeApi) -> None:
    put(api, "/api/v1/namespaces", "plumbline-probe", labels={OF_CHECKS: "run"})
    pod(api, "plumbline-probe", "master-1")
    pod(api, "metallb-system", hostNetwork=True)
    assert over_machines(declared) == []


def test_a_container_put_into_a_pod_of_the_platform_is_named(declared: Declared, api: FakeApi) -> None:
    pod(api, "traefik", ephemeralContainers=[{"name": "debugger"}])
    assert over_machines(declared) == ["Pod/traefik/x: somebody has put a container into it (debugger)"]


def test_static_pods_are_those_of_the_control_plane(declared: Declared, api: FakeApi) -> None:
    owners = ({"kind": "Node", "name": "master-1", "uid": "n", "controller": True},)
    marked: dict[str, Any] = {"annotations": {MIRROR: "hash"}, "owners": owners}
    spec = {"nodeName": "master-1", "containers": []}
    put(api, PODS, "etcd-master-1", "kube-system", spec=spec, status={}, **marked)
    assert over_machines(declared) == []
    put(api, PODS, "etcd-worker-1", "kube-system", spec=spec | {"nodeName": "worker-1"}, status={}, **marked)
    put(api, PODS, "miner-master-1", "default", spec=spec, status={}, **marked)
    says = "is started by the kubelet of {} from a file that no role has there"
    assert over_machines(declared) == [
        f"Pod/kube-system/etcd-worker-1: {says.format('worker-1')}",
        f"Pod/default/miner-master-1: {says.format('master-1')}",
    ]


def test_volumes_that_are_a_machine_s_folder_are_named(declared: Declared, api: FakeApi) -> None:
    volumes = "/api/v1/persistentvolumes"
    put(api, volumes, "data", spec={"local": {"path": "/srv/data"}})
    put(api, volumes, "all", spec={"hostPath": {"path": "/"}})
    assert over_machines(declared) == [
        "PersistentVolume/all: is / of a machine (keys, sockets or disks of the machine lie there)"
    ]


@pytest.mark.parametrize("path", ["/dev/net/tun", "/dev/dri/card0", "/opt/app", "/mnt", "/var/lib/app"])
def test_a_folder_of_nobody_s_gives_nothing(path: str) -> None:
    assert of_platform(path, writes=True) == ""
