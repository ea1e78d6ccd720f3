"""Row P2-13: bindings that give power over the platform, and edited ones of Kubernetes' own."""

from __future__ import annotations

import pytest

from lab.checks.admission import MANAGED
from lab.checks.declared import Declared
from lab.checks.rights import beyond_what_is_declared, powers
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.unit.strangers.making import RBAC, put, written

APIS = "/apis/apiregistration.k8s.io/v1/apiservices"
ACCOUNT = {"kind": "ServiceAccount", "namespace": "shop", "name": "app"}
GROUPS = {"", "apps", "batch", "rbac.authorization.k8s.io", "metallb.io", "authorization.k8s.io"}


def rule(verbs: str, resources: str, group: str = "", **more: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()} | more


ALL = rule("*", "*", "*")


@pytest.fixture(autouse=True)
def served(api: FakeApi) -> None:
    """The groups that API servers serve by themselves."""
    for group in GROUPS:
        put(api, APIS, f"v1.{group}", by="kube-apiserver", labels={MANAGED: "onstart"}, spec={"group": group})


def bind(api: FakeApi, rules: list[Object], *, space: str = "", subject: Object = ACCOUNT) -> None:
    put(api, f"{RBAC}/clusterroles", "much", rules=rules)
    kind = "rolebindings" if space else "clusterrolebindings"
    role = {"kind": "ClusterRole", "name": "much"}
    put(api, f"{RBAC}/{kind}", "x", space, roleRef=role, subjects=[subject])


def test_what_is_declared_and_what_kubernetes_binds_is_accepted(declared: Declared, api: FakeApi) -> None:
    put(api, f"{RBAC}/clusterroles", "cluster-admin", by="kube-apiserver", rules=[ALL])
    role = {"kind": "ClusterRole", "name": "cluster-admin"}
    for name, by in (("cluster-admin", "kube-apiserver"), ("kubeadm:cluster-admins", "kubeadm")):
        put(api, f"{RBAC}/clusterrolebindings", name, by=by, roleRef=role, subjects=[ACCOUNT])
    assert beyond_what_is_declared(declared) == []


@pytest.mark.parametrize(
    "rules",
    [
        [rule("get list watch", "pods services nodes configmaps")],
        [rule("*", "certificates", "cert-manager.io")],
        [rule("create patch", "events"), rule("update", "ingresses/status", "batch")],
        [rule("create", "subjectaccessreviews", "authorization.k8s.io")],
        [rule("get", "secrets", resourceNames=["own"])],
    ],
)
def test_rights_without_power_are_accepted_everywhere(
    declared: Declared, api: FakeApi, rules: list[Object]
) -> None:
    bind(api, rules)
    assert beyond_what_is_declared(declared) == []


def test_all_rights_in_a_namespace_of_people_are_theirs(declared: Declared, api: FakeApi) -> None:
    bind(api, [ALL], space="shop")
    assert beyond_what_is_declared(declared) == []


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([ALL], "does everything with everything"),
        ([rule("get", "secrets")], "reads all secrets"),
        ([rule("create", "pods")], "writes pods"),
        ([rule("get", "nodes/proxy")], "commands the kubelets"),
        ([rule("get", "pods/exec")], "runs commands in all pods"),
        ([rule("impersonate", "groups")], "acts as others (impersonate groups)"),
        ([rule("escalate", "clusterroles", "rbac.authorization.k8s.io")], "gives itself rights"),
        ([rule("patch", "daemonsets", "apps")], "writes daemonsets of apps"),
        ([rule("delete", "ipaddresspools", "metallb.io")], "writes ipaddresspools of metallb.io"),
        ([rule("approve", "signers", "certificates.k8s.io")], "approves certificates (approve signers)"),
        ([rule("update", "nodes/status")], "writes nodes/status"),
    ],
)
def test_power_over_the_platform_is_named_with_whom_it_is_given(
    declared: Declared, api: FakeApi, rules: list[Object], told: str
) -> None:
    bind(api, rules)
    [line] = beyond_what_is_declared(declared)
    start = "ClusterRoleBinding/x: gives ServiceAccount shop/app ClusterRole much: "
    assert line.startswith(start + told)


def test_any_binding_in_the_platform_s_namespaces_is_named(declared: Declared, api: FakeApi) -> None:
    bind(api, [rule("get", "configmaps")], space="traefik")
    assert beyond_what_is_declared(declared) == [
        "RoleBinding/traefik/x: gives ServiceAccount shop/app ClusterRole much: "
        "in traefik, reads objects of the platform"
    ]


def test_whoever_has_no_name_is_given_nothing(declared: Declared, api: FakeApi) -> None:
    bind(api, [rule("get", "pods")], space="shop", subject={"kind": "User", "name": "system:anonymous"})
    assert beyond_what_is_declared(declared) == [
        "RoleBinding/shop/x: gives User system:anonymous ClusterRole much: "
        "whoever has no name is given something"
    ]


def test_what_somebody_wrote_into_a_role_or_binding_of_kubernetes_is_named(
    declared: Declared, api: FakeApi
) -> None:
    role = put(api, f"{RBAC}/clusterroles", "system:discovery", by="kube-apiserver", rules=[])
    # rules are one value, of which the last writer is the only one
    role["metadata"]["managedFields"] = [
        written("kube-apiserver", "metadata"),
        written("kubectl-edit", "rules"),
    ]
    bound = put(
        api,
        f"{RBAC}/clusterrolebindings",
        "system:discovery",
        by="kube-apiserver",
        roleRef={"kind": "ClusterRole", "name": "system:discovery"},
        subjects=[ACCOUNT],
    )
    bound["metadata"]["managedFields"].append(written("kubectl-patch", "subjects"))
    assert beyond_what_is_declared(declared) == [
        "ClusterRole/system:discovery: is of Kubernetes' own, and was written by kubectl-edit (rules)",
        "ClusterRoleBinding/system:discovery: is of Kubernetes' own, and was written by kubectl-patch "
        "(subjects); it is for ServiceAccount shop/app",
    ]


def test_an_aggregated_role_is_its_controllers(declared: Declared, api: FakeApi) -> None:
    role = put(api, f"{RBAC}/clusterroles", "view", by="kube-apiserver", aggregationRule={})
    role["metadata"]["managedFields"].append(written("clusterrole-aggregation-controller", "rules"))
    assert beyond_what_is_declared(declared) == []


def test_powers_are_told_once() -> None:
    twice = [rule("create", "pods"), rule("delete", "pods")]
    assert list(powers(twice, GROUPS)) == ["writes pods"]
