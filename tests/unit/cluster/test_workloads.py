"""Ready by the rule of its kind: nodes, workloads, jobs, definitions, webhooks."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.workloads import CRD, lacking, named, nodes_ready, ready
from lab.errors import FailedError
from lab.objects import Object, is_ready
from lab.waits import NotYet
from tests.fake_api import FakeApi


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def node(ready: str | None) -> Object:
    conditions = [{"type": "MemoryPressure", "status": "False"}]
    return {"status": {"conditions": conditions + ([{"type": "Ready", "status": ready}] if ready else [])}}


@pytest.mark.parametrize(
    ("ready", "is_so"), [("True", True), ("False", False), ("Unknown", False), (None, False)]
)
def test_a_node_is_ready_by_its_condition_alone(ready: str | None, is_so: bool) -> None:
    assert is_ready(node(ready)) is is_so
    assert not is_ready({})


def test_nodes_that_are_missing_or_not_ready_are_named(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def items(_: str) -> list[Object]:
        return [
            {"metadata": {"name": name}} | node(state) for name, state in (("a", "True"), ("b", "Unknown"))
        ]

    monkeypatch.setattr(api, "items", items)
    nodes_ready(api, ["a"])
    with pytest.raises(NotYet, match=r"not joined: c, d; not Ready: b"):
        nodes_ready(api, ["a", "b", "c", "d"])


DEPLOYMENT = {"readyReplicas": 2, "updatedReplicas": 2, "observedGeneration": 3}
DAEMONSET = {
    "desiredNumberScheduled": 5,
    "numberReady": 5,
    "updatedNumberScheduled": 5,
    "observedGeneration": 3,
}


def partitioned(number: int) -> Object:
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": number}}}


@pytest.mark.parametrize(
    ("kind", "status", "said"),
    [
        ("deployment", DEPLOYMENT, ""),
        ("daemonset", DAEMONSET, ""),
        ("deployment", DEPLOYMENT | {"readyReplicas": 1}, "1 of 2 ready, 2 of the newest version"),
        ("deployment", DEPLOYMENT | {"updatedReplicas": 1}, "2 of 2 ready, 1 of the newest version"),
        ("deployment", DEPLOYMENT | {"observedGeneration": 2}, "2 of 2 ready"),
        ("deployment", {}, "0 of 2 ready"),
        ("statefulset", DEPLOYMENT, ""),
        ("statefulset", DEPLOYMENT | {"readyReplicas": 1}, "1 of 2 ready, 2 of the newest version"),
        ("daemonset", DAEMONSET | {"numberReady": 4}, "4 of 5 ready"),
        ("daemonset", DAEMONSET | {"updatedNumberScheduled": 0}, "5 of 5 ready, 0 of the newest version"),
        ("daemonset", {}, "0 of 0 ready"),
    ],
)
def test_a_workload_is_ready_when_its_newest_version_runs_everywhere(
    api: FakeApi, kind: str, status: Object, said: str
) -> None:
    path = f"/apis/apps/v1/namespaces/kube-system/{kind}s/x"
    api.objects[path] = {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}
    if not said:
        ready(api, named(f"{kind}/kube-system/x"))
        return
    with pytest.raises(NotYet, match=f"{kind}/kube-system/x: {said}"):
        ready(api, named(f"{kind}/kube-system/x"))


def test_a_workload_that_does_not_exist_is_waited_for(api: FakeApi) -> None:
    with pytest.raises(NotYet, match="daemonset/kube-system/x: does not exist"):
        ready(api, named("daemonset/kube-system/x"))


def job(**status: Any) -> Object:
    return {"metadata": {"generation": 1}, "spec": {"completions": 3}, "status": status}


def condition(kind: str, **more: str) -> list[Object]:
    return [{"type": kind, "status": "True", **more}]


@pytest.mark.parametrize(
    ("item", "said"),
    [
        (job(), "0 of 3 done"),
        (job(succeeded=2, active=1), "2 of 3 done"),
        (job(succeeded=3, conditions=condition("SuccessCriteriaMet")), "3 of 3 done"),
        (job(conditions=[{"type": "Complete", "status": "False"}]), "0 of 3 done"),
    ],
)
def test_a_job_is_waited_for_until_it_is_complete(api: FakeApi, item: Object, said: str) -> None:
    api.objects["/apis/batch/v1/namespaces/toy/jobs/setup"] = item
    with pytest.raises(NotYet, match=f"job/toy/setup: {said}"):
        ready(api, named("job/toy/setup"))
    api.objects["/apis/batch/v1/namespaces/toy/jobs/setup"] = job(conditions=condition("Complete"))
    ready(api, named("job/toy/setup"))


def test_a_job_that_has_failed_is_told_at_once_with_the_reason(api: FakeApi) -> None:
    failed = condition("Failed", reason="BackoffLimitExceeded", message="has reached the backoff limit")
    api.objects["/apis/batch/v1/namespaces/toy/jobs/setup"] = job(conditions=failed)
    with pytest.raises(FailedError, match="has reached the backoff limit") as error:
        ready(api, named("job/toy/setup"))
    assert error.value.next_step == (
        "invoke kubectl -- -n toy logs job/setup; once its cause is mended: "
        "invoke kubectl -- -n toy delete job/setup, then invoke build"
    )


@pytest.mark.parametrize(
    ("kind", "spec", "status", "lacks"),
    [
        ("DaemonSet", {}, DAEMONSET | {"desiredNumberScheduled": 2, "numberReady": 2}, False),
        (
            "DaemonSet",
            {"updateStrategy": {"type": "OnDelete"}},
            DAEMONSET | {"updatedNumberScheduled": 1},
            False,
        ),
        ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, DAEMONSET | {"numberReady": 4}, True),
        ("StatefulSet", partitioned(1), DEPLOYMENT | {"updatedReplicas": 1}, False),
        ("StatefulSet", partitioned(1), DEPLOYMENT | {"updatedReplicas": 0}, True),
        ("StatefulSet", partitioned(9), DEPLOYMENT | {"updatedReplicas": 0}, False),
        ("DaemonSet", {}, dict.fromkeys(DAEMONSET, 0) | {"observedGeneration": 3}, False),
        ("DaemonSet", {}, dict.fromkeys(DAEMONSET, 0) | {"observedGeneration": 2}, True),
        ("Deployment", {"replicas": 0}, DEPLOYMENT | {"readyReplicas": 0, "updatedReplicas": 0}, True),
        ("ConfigMap", {}, {}, False),
    ],
)
def test_a_workload_is_judged_by_its_own_selector_and_strategy(
    kind: str, spec: Object, status: Object, lacks: bool
) -> None:
    item = {"metadata": {"generation": 3}, "spec": {"replicas": 2} | spec, "status": status}
    assert bool(lacking(kind, item)) is lacks


def definition(*conditions: Object) -> Object:
    return {"metadata": {"name": "pools.example.com"}, "spec": {}, "status": {"conditions": list(conditions)}}


def test_a_definition_is_ready_when_it_is_served(api: FakeApi) -> None:
    taken = {"type": "NamesAccepted", "status": "False", "message": '"pools" is already in use'}
    assert lacking(CRD, definition(*condition("Established"))) == ""
    assert lacking(CRD, definition()) == "is not served: not Established"
    assert lacking(CRD, definition(taken)) == 'is not served: "pools" is already in use'
    item = {"apiVersion": "apiextensions.k8s.io/v1", "kind": CRD, "metadata": {"name": "pools.example.com"}}
    api.objects[api.path(item)] = definition()
    with pytest.raises(NotYet, match=r"customresourcedefinition/pools\.example\.com: is not served"):
        ready(api, item)
    api.objects[api.path(item)] = definition(*condition("Established"))
    ready(api, item)


def test_a_configuration_is_ready_when_its_webhooks_answer(api: FakeApi) -> None:
    item: Object = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "pools"},
    }
    api.objects[api.path(item)] = item | {"webhooks": []}
    ready(api, item)
    client = {"service": {"namespace": "toy", "name": "webhook"}, "caBundle": "Cg=="}
    api.objects[api.path(item)] = item | {"webhooks": [{"name": "pools.example.com", "clientConfig": client}]}
    with pytest.raises(NotYet, match=r"pools\.example\.com: service toy/webhook does not exist$"):
        ready(api, item)
    three = [{"name": f"{name}.example.com", "clientConfig": client} for name in ("pools", "peers", "routes")]
    api.objects[api.path(item)] = item | {"webhooks": three}
    with pytest.raises(NotYet, match=r"webhook does not exist \(and 2 more of its webhooks\)$"):
        ready(api, item)
