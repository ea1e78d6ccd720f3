"""Row P2-12: webhooks, policies, aggregated APIs, queues and labels of others before the API."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.admission import MANAGED, in_the_way
from lab.checks.declared import Declared
from lab.checks.selection import Thing, covers, selects
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.unit.strangers.making import ADMISSION, put, written

VALIDATING = f"{ADMISSION}/validatingwebhookconfigurations"
MUTATING = f"{ADMISSION}/mutatingwebhookconfigurations"
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
APIS = "/apis/apiregistration.k8s.io/v1/apiservices"


def rules(group: str = "", resource: str = "pods", **more: Any) -> list[Object]:
    return [{"apiGroups": [group], "resources": [resource], "operations": ["CREATE"]} | more]


def hook(**fields: Any) -> list[Object]:
    return [{"name": "one.example.com", "rules": rules()} | fields]


def space_is(operator: str, *names: str) -> Object:
    key = "kubernetes.io/metadata.name"
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(names)}]}


PEOPLES = space_is("In", "shop")
NOT_OURS = space_is("NotIn", "kube-system")


@pytest.mark.parametrize(
    "hooks",
    [
        hook(rules=rules("cert-manager.io", "certificates")),
        hook(rules=rules("apps", "controllerrevisions")),
        hook(namespaceSelector=PEOPLES),
        hook(objectSelector={"matchLabels": {"inject": "yes"}}),
        hook(rules=rules("", "pods/attach")),
        hook(rules=rules(scope="Cluster")),
    ],
)
def test_a_webhook_that_leaves_the_platform_alone_is_accepted(
    declared: Declared, api: FakeApi, hooks: list[Object]
) -> None:
    put(api, VALIDATING, "x", webhooks=hooks)
    assert in_the_way(declared) == []


@pytest.mark.parametrize(
    ("hooks", "about"),
    [
        (hook(), "pods in kube-flannel"),
        (hook(rules=rules("*", "*")), "namespaces"),
        (hook(rules=rules("*", "*"), namespaceSelector=space_is("In", "traefik")), "namespaces"),
        (hook(rules=rules("*", "nodes"), namespaceSelector=space_is("In", "shop")), "nodes"),
        (hook(rules=rules(), namespaceSelector=space_is("In", "traefik")), "pods in traefik"),
        (
            hook(objectSelector={"matchLabels": {"component": "speaker"}}, rules=rules("apps", "daemonsets")),
            "",
        ),
        (hook(rules=rules("coordination.k8s.io", "leases")), "leases in kube-flannel"),
        (hook(rules=rules("", "nodes/status")), "nodes/status"),
        (hook(rules=rules("", "pods/*")), "pods/status in kube-flannel"),
    ],
)
def test_a_webhook_that_reaches_the_platform_is_named(
    declared: Declared, api: FakeApi, hooks: list[Object], about: str
) -> None:
    speaker = api.objects["/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"]
    speaker["metadata"]["labels"]["component"] = "speaker"
    put(api, VALIDATING, "x", webhooks=hooks)
    [told] = in_the_way(declared)
    start = "ValidatingWebhookConfiguration/x: webhook one.example.com may refuse what is asked about "
    assert told.startswith(start + (about or "daemonsets in metallb-system"))
    assert told.endswith("; while it is silent all of them are refused")


def test_a_webhook_that_changes_is_named_although_it_may_be_silent(declared: Declared, api: FakeApi) -> None:
    put(api, MUTATING, "x", webhooks=hook(failurePolicy="Ignore", namespaceSelector=NOT_OURS))
    [told] = in_the_way(declared)
    assert told == (
        "MutatingWebhookConfiguration/x: webhook one.example.com may change what is asked about "
        "pods in kube-flannel"
    )


@pytest.mark.parametrize(
    ("binding", "named"),
    [
        ({"validationActions": ["Deny"]}, True),
        ({"validationActions": ["Warn", "Audit"]}, False),
        ({"validationActions": ["Deny"], "matchResources": {"namespaceSelector": PEOPLES}}, False),
        ({"validationActions": ["Deny"], "policyName": "gone"}, False),
    ],
)
def test_a_policy_counts_by_its_binding(
    declared: Declared, api: FakeApi, binding: Object, named: bool
) -> None:
    put(
        api,
        f"{ADMISSION}/validatingadmissionpolicies",
        "p",
        spec={"matchConstraints": {"resourceRules": rules()}},
    )
    assert in_the_way(declared) == [], "without a binding it does nothing"
    put(api, f"{ADMISSION}/validatingadmissionpolicybindings", "b", spec={"policyName": "p"} | binding)
    told = "ValidatingAdmissionPolicyBinding/b: policy p may refuse what is asked about pods in kube-flannel"
    assert in_the_way(declared) == ([told] if named else [])


def aggregated(group: str, available: str = "True") -> Object:
    state = [{"type": "Available", "status": available, "message": "service shop/x is gone"}]
    return {
        "spec": {"group": group, "version": "v1", "service": {"namespace": "shop", "name": "x"}},
        "status": {"conditions": state},
    }


def test_an_api_of_others_that_is_served_is_accepted(declared: Declared, api: FakeApi) -> None:
    put(api, APIS, "v1.metrics.k8s.io", **aggregated("metrics.k8s.io"))
    put(api, APIS, "v1.apps", by="kube-apiserver", labels={MANAGED: "onstart"}, spec={"group": "apps"})
    assert in_the_way(declared) == []


def test_an_api_that_is_dead_or_takes_ours_is_named(declared: Declared, api: FakeApi) -> None:
    put(api, APIS, "v1.apps", by="kube-apiserver", labels={MANAGED: "onstart"}, spec={"group": "apps"})
    put(api, APIS, "v9.apps", **aggregated("apps"))
    put(api, APIS, "v1.metrics.k8s.io", **aggregated("metrics.k8s.io", "False"))
    assert in_the_way(declared) == [
        "APIService/v9.apps: takes requests for the platform's own kinds to service shop/x",
        "APIService/v1.metrics.k8s.io: service shop/x does not serve it (service shop/x is gone); "
        "namespaces cannot be removed meanwhile",
    ]


def flow(**subject: Any) -> Object:
    return {"priorityLevelConfiguration": {"name": "slow"}, "rules": [{"subjects": [subject]}]}


def shares(number: int) -> Object:
    return {"limited": {"nominalConcurrencyShares": number}}


def test_queues_of_people_are_accepted(declared: Declared, api: FakeApi) -> None:
    account = {"kind": "ServiceAccount", "serviceAccount": {"namespace": "shop", "name": "*"}}
    put(api, f"{FLOW}/flowschemas", "shop", spec=flow(**account))
    put(api, f"{FLOW}/flowschemas", "own", by="api-priority-and-fairness-config-producer-v1", spec=flow())
    level = f"{FLOW}/prioritylevelconfigurations"
    put(api, level, "own", by="api-priority-and-fairness-config-producer-v1", spec=shares(100))
    put(api, level, "shop", spec=shares(20))
    assert in_the_way(declared) == []


def test_queues_that_hold_up_the_platform_are_named(declared: Declared, api: FakeApi) -> None:
    put(api, f"{FLOW}/flowschemas", "a", spec=flow(kind="Group", group={"name": "system:nodes"}))
    put(api, f"{FLOW}/flowschemas", "b", spec=flow(kind="User", user={"name": "*"}))
    account = {"namespace": "traefik", "name": "traefik"}
    put(api, f"{FLOW}/flowschemas", "c", spec=flow(kind="ServiceAccount", serviceAccount=account))
    level = f"{FLOW}/prioritylevelconfigurations"
    own = put(api, level, "own", by="api-priority-and-fairness-config-producer-v1", spec=shares(100))
    own["metadata"]["managedFields"].append(written("kubectl-edit", "spec"))
    put(api, level, "d", spec=shares(400))
    assert in_the_way(declared) == [
        "FlowSchema/a: sends requests of group system:nodes to priority level slow",
        "FlowSchema/b: sends requests of user * to priority level slow",
        "FlowSchema/c: sends requests of service account traefik/traefik to priority level slow",
        "PriorityLevelConfiguration/own: was written by kubectl-edit (spec); it decides how many may wait",
        "PriorityLevelConfiguration/d: takes 400 shares of the API servers, beside 100 of all others",
    ]


def test_a_namespace_of_kubernetes_that_refuses_pods_is_named(declared: Declared, api: FakeApi) -> None:
    labels = api.objects["/api/v1/namespaces/kube-system"]["metadata"]["labels"]
    labels["pod-security.kubernetes.io/warn"] = "restricted"
    assert in_the_way(declared) == []
    labels["pod-security.kubernetes.io/enforce"] = "restricted"
    [told] = in_the_way(declared)
    assert told.startswith("Namespace/kube-system: takes pods of level restricted alone")


@pytest.mark.parametrize(
    ("operator", "values", "fits"),
    [("In", ["a"], True), ("NotIn", ["a"], False), ("Exists", None, True), ("DoesNotExist", None, False)],
)
def test_selectors_have_kubernetes_meaning(operator: str, values: list[str] | None, fits: bool) -> None:
    term = {"key": "k", "operator": operator, "values": values}
    assert selects({"matchExpressions": [term]}, {"k": "a"}) is fits
    assert selects(None, {}) and selects({}, {"k": "a"})


def test_a_star_means_no_parts_of_objects() -> None:
    assert covers(rules("", "*"), Thing("", "pods", "a"))
    assert not covers(rules("", "*"), Thing("", "pods/status", "a"))
    assert covers(rules("", "*/*"), Thing("", "pods/status", "a"))
    assert not covers(rules("", "pods/*"), Thing("", "pods", "a"))
