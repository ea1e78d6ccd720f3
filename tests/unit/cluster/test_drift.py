"""Drift: every field that differs is named with both values, what others added too, secrets never."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from lab.cluster.api import FIELD_MANAGER, Api, ApiError
from lab.cluster.drift import Drift, drift
from lab.cluster.managed_fields import added
from lab.objects import Object
from lab.render.addons import merge
from tests.fake_api import FakeApi

SPACE = "kube-system"


class DefaultingApi(FakeApi):
    """Sets defaults when it is given an object whole (PUT), as an API server does; may refuse that."""

    def __init__(self) -> None:
        super().__init__()
        self.defaults: Object = {}
        self.refusal: ApiError | None = None

    def request(self, method: str, path: str, body: Any = None, *rest: Any, **more: Any) -> Object:
        assert path.endswith("dryRun=All")
        if method == "PATCH":
            return super().request(method, path, body, *rest, **more)
        assert method == "PUT"
        if self.refusal:
            raise self.refusal
        return merge(copy.deepcopy(self.defaults), body)  # type: ignore[no-any-return]


@pytest.fixture
def api() -> DefaultingApi:
    return DefaultingApi()


def named(kind: str, version: str = "v1", **parts: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x", "namespace": SPACE}, **parts}


def workload(**container: Any) -> Object:
    one = {"name": "main", "image": "a:v1", "args": ["--a", "--b"], "ports": [{"containerPort": 80}]}
    spec = {"template": {"spec": {"containers": [one | container]}}}
    return named("Deployment", "apps/v1", spec=spec)


def living(api: FakeApi, item: Object, fields: Object | None = None, manager: str = "kubectl-edit") -> Object:
    """Put an object into the cluster, of which `manager` wrote these fields."""
    made = copy.deepcopy(item)
    operation = "Apply" if manager == FIELD_MANAGER else "Update"
    if fields is not None:
        made["metadata"]["managedFields"] = [{"manager": manager, "operation": operation, "fieldsV1": fields}]
    api.objects[api.path(item)] = made
    return made


def texts(api: Api, item: Object) -> list[str]:
    return [str(one) for one in drift(api, item)]


def test_an_object_as_rendered_has_not_drifted(api: DefaultingApi) -> None:
    made = living(api, workload())
    made["status"] = {"replicas": 1}
    made["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    assert drift(api, workload()) == []
    assert api.applied == []


def test_an_object_that_was_removed_is_named(api: DefaultingApi) -> None:
    assert texts(api, workload()) == ["Deployment/kube-system/x: does not exist (rendered: there)"]
    api.unknown_kinds.add("Deployment")
    assert texts(api, workload()) == ["Deployment/kube-system/x: does not exist (rendered: there)"]


@pytest.mark.parametrize(
    ("item", "seen", "told"),
    [
        (
            workload(),
            workload(image="b:v2"),
            "spec.template.spec.containers[name=main].image: b:v2 (rendered: a:v1)",
        ),
        (
            workload(),
            workload(args=["--a", "--c"]),
            "spec.template.spec.containers[name=main].args: --c (rendered: --b)",
        ),
        (
            named("Role", rules=[{"verbs": ["get"]}]),
            named("Role", rules=[{"verbs": ["*"]}]),
            'rules: {"verbs": ["*"]} (rendered: {"verbs": ["get"]})',
        ),
        (
            named("ConfigMap", data={"Corefile": ".:53 {\n  errors\n  ready\n}\n"}),
            named("ConfigMap", data={"Corefile": ".:53 {\n  errors\n  rewrite a b\n  ready\n}\n"}),
            "data.Corefile: rewrite a b (rendered: not there)",
        ),
        (
            named("ConfigMap", data={"net.json": '{"Backend": {"VNI": 1}}'}),
            named("ConfigMap", data={"net.json": '{"Backend": {"VNI": 7}}'}),
            "data.net.json.Backend.VNI: 7 (rendered: 1)",
        ),
        (
            named("Service", spec={"type": "ClusterIP", "ports": [{"name": "web", "port": 80}]}),
            named("Service", spec={"type": "ClusterIP", "ports": [{"name": "web", "port": 81}]}),
            "spec.ports[name=web].port: 81 (rendered: 80)",
        ),
        (
            named("Service", spec={"type": "ClusterIP"}),
            named("Service", spec={}),
            "spec.type: nothing (rendered: ClusterIP)",
        ),
    ],
)
def test_each_field_that_differs_is_named_with_both_values(
    api: DefaultingApi, item: Object, seen: Object, told: str
) -> None:
    living(api, seen)
    assert texts(api, item) == [f"{item['kind']}/kube-system/x {told}"]


def test_a_document_in_another_layout_has_not_drifted(api: DefaultingApi) -> None:
    living(api, named("ConfigMap", data={"config.conf": "mode: iptables\nipvs:\n  a: null\n"}))
    assert drift(api, named("ConfigMap", data={"config.conf": "ipvs: {a: null}\nmode: iptables\n"})) == []


def test_lists_that_differ_in_their_order_alone_are_told_so(api: DefaultingApi) -> None:
    living(api, workload(args=["--b", "--a"]))
    [told] = texts(api, workload())
    assert "the same in another order" in told


def test_the_values_of_a_secret_are_never_told(api: DefaultingApi) -> None:
    living(api, named("Secret", data={"key": "c2VjcmV0LTE="}), {"f:data": {"f:more": {}}})
    api.objects[api.path(named("Secret"))]["data"]["more"] = "c2VjcmV0LTM="
    told = texts(api, named("Secret", data={"key": "c2VjcmV0LTI="}))
    assert [line.split(": ")[0] for line in told] == [
        "Secret/kube-system/x data.key",
        "Secret/kube-system/x data.more",
    ]
    assert "c2VjcmV0" not in " ".join(told)


PORTS: Object = {
    "f:spec": {"f:ports": {".": {}, 'k:{"port":9999,"protocol":"TCP"}': {".": {}, "f:port": {}}}}
}


def test_a_port_that_somebody_added_is_named_with_who_did(api: DefaultingApi) -> None:
    item = named("Service", spec={"ports": [{"port": 80}]})
    seen = copy.deepcopy(item)
    seen["spec"]["ports"].append({"port": 9999, "protocol": "TCP"})
    made = living(api, seen, PORTS)
    assert [
        str(Drift("x", one.path, "", str(one.value))).split(" (")[0] for one in added(api, item, made)
    ] == ["x spec.ports[port=9999,protocol=TCP]: {'port': 9999, 'protocol': 'TCP'}"]
    assert added(api, item, made)[0].manager == "kubectl-edit"


def fields(path: str) -> Object:
    tree: Object = {}
    for step in reversed(path.split("/")):
        tree = {step: tree}
    return tree


SELECTED = named("L2Advertisement", "metallb.io/v1beta1", spec={"pools": ["a"], "nodes": ["worker-1"]})
CONTAINER = 'f:spec/f:template/f:spec/f:containers/k:{"name":"main"}'
DECLARED = workload(ports=[{"containerPort": 80, "name": "web"}])


@pytest.mark.parametrize(
    ("item", "seen", "path", "told"),
    [
        (
            named("L2Advertisement", "metallb.io/v1beta1", spec={"pools": ["a"]}),
            SELECTED,
            "f:spec/f:nodes",
            "spec.nodes",
        ),
        (
            named("ConfigMap", data={"a": "1"}),
            named("ConfigMap", data={"a": "1", "b": "2"}),
            "f:data/f:b",
            "data.b",
        ),
        (
            workload(),
            workload(securityContext={"privileged": True}),
            f"{CONTAINER}/f:securityContext/f:privileged",
            "spec.template.spec.containers[name=main].securityContext",
        ),
        (
            named("Role", spec={"finalizers": ["a"]}),
            named("Role", spec={"finalizers": ["a", "b"]}),
            'f:spec/f:finalizers/v:"b"',
            'spec.finalizers["b"]',
        ),
    ],
)
def test_a_field_that_is_not_rendered_is_named(
    api: DefaultingApi, item: Object, seen: Object, path: str, told: str
) -> None:
    made = living(api, seen, fields(path))
    assert [one.path for one in added(api, item, made)] == [told]


@pytest.mark.parametrize(
    ("item", "seen", "path", "manager"),
    [
        (workload(), workload(image="b:v2"), f"{CONTAINER}/f:image", "kubectl-edit"),
        (
            DECLARED,
            DECLARED,
            f'{CONTAINER}/f:ports/k:{{"containerPort":80,"protocol":"TCP"}}/f:name',
            "kubectl",
        ),
        (
            workload(),
            workload(),
            "f:spec/f:template/f:metadata/f:annotations/f:restartedAt",
            "kubectl-rollout",
        ),
        (workload(), workload(), "f:metadata/f:labels/f:a", "kubectl-label"),
        (workload(), workload(stdin=True), f"{CONTAINER}/f:stdin", FIELD_MANAGER),
        (workload(), workload(stdin=True), f"{CONTAINER}/f:stdin", "kubeadm"),
        (workload(), workload(), f"{CONTAINER}/f:stdin", "kubectl-edit"),
        (named("Secret"), named("Secret", data={"tls.crt": "x"}), "f:data/f:tls.crt", "controller"),
        (
            named("Role", webhooks=[{"name": "a"}]),
            named("Role", webhooks=[{"name": "a", "clientConfig": {"caBundle": "x"}}]),
            'f:webhooks/k:{"name":"a"}/f:clientConfig/f:caBundle',
            "controller",
        ),
    ],
    ids=[
        "rendered, so the dry run compares it",
        "a key field that the rendering leaves to its default",
        "a restart",
        "a label",
        "our own",
        "kubeadm's",
        "gone again",
        "a secret that is rendered empty",
        "a CA of a webhook",
    ],
)
def test_what_is_no_addition(api: DefaultingApi, item: Object, seen: Object, path: str, manager: str) -> None:
    assert added(api, item, living(api, seen, fields(path), manager)) == []


def test_a_default_is_no_addition_whoever_wrote_it(api: DefaultingApi) -> None:
    item, path = named("Deployment", "apps/v1", spec={"paused": False}), "f:spec/f:replicas"
    seen = named("Deployment", "apps/v1", spec={"paused": False, "replicas": 1})
    made = living(api, seen, fields(path), "kubectl")
    api.defaults = {"spec": {"replicas": 1}}
    assert added(api, item, made) == []
    made["spec"]["replicas"] = 3
    assert [(one.path, one.value) for one in added(api, item, made)] == [("spec.replicas", 3)]
    assert made["spec"]["replicas"] == 3, "the object itself is left alone"


def test_what_the_api_refuses_to_do_without_is_no_default(api: DefaultingApi) -> None:
    seen = named("ConfigMap", data={"a": "1", "b": "2"})
    made = living(api, seen, fields("f:data/f:b"))
    api.refusal = ApiError("PUT", 422, "is immutable")
    assert [one.path for one in added(api, named("ConfigMap", data={"a": "1"}), made)] == ["data.b"]
    api.refusal = ApiError("PUT", 503, "no leader")
    with pytest.raises(ApiError, match="no leader"):
        added(api, named("ConfigMap", data={"a": "1"}), made)


def test_the_scale_that_a_person_set_is_judged_and_the_status_is_not(api: DefaultingApi) -> None:
    item = named("Deployment", "apps/v1", spec={"paused": False})
    made = living(api, named("Deployment", "apps/v1", spec={"paused": False, "replicas": 5}))
    entries = [
        {"manager": "kubectl", "subresource": "scale", "fieldsV1": fields("f:spec/f:replicas")},
        {"manager": "speaker", "subresource": "status", "fieldsV1": fields("f:spec/f:paused")},
    ]
    entries = [entry | {"operation": "Update"} for entry in entries]
    made["metadata"]["managedFields"] = entries
    assert [one.path for one in added(api, item, made)] == ["spec.replicas"]


def test_who_writes_by_hand_under_the_lab_s_name_is_found(api: DefaultingApi) -> None:
    seen = named("ConfigMap", data={"a": "1", "b": "2"})
    made = living(api, seen, fields("f:data/f:b"), FIELD_MANAGER)
    made["metadata"]["managedFields"][0]["operation"] = "Update"
    assert [one.path for one in added(api, named("ConfigMap", data={"a": "1"}), made)] == ["data.b"]
