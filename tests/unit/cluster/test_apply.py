"""Applying objects: only what differs, patient with webhooks that do not serve yet, final otherwise (C32)."""

from __future__ import annotations

import base64
from typing import Any

import pytest
import yaml

from lab.addons.model import Secret
from lab.cluster.api import ApiError, Object, Unavailable
from lab.cluster.apply import apply, as_text, changed, ensure_secret, title
from lab.cluster.webhooks import evidence
from lab.cluster.workloads import is_ready, nodes_ready, workload_ready
from lab.errors import DeadlineError, FailedError
from lab.waits import NotYet
from tests.fakes import FakeApi, FakeClock

POOL: Object = {
    "apiVersion": "metallb.io/v1beta1",
    "kind": "IPAddressPool",
    "metadata": {"name": "default", "namespace": "kube-system"},
    "spec": {"addresses": ["10.1.1.100-10.1.1.150"]},
}
PATH = "/apis/metallb.io/v1beta1/namespaces/kube-system/ipaddresspools/default"


def refusal(message: str, status: int = 500) -> ApiError:
    return ApiError(f"PATCH {PATH}", status, message)


CALL = 'failed calling webhook "pools.metallb.io": Post "https://x:443": '
REFUSED = refusal(CALL + "dial tcp 10.96.0.7:443: connect: connection refused")
NO_ENDPOINTS = refusal('no endpoints available for service "metallb-webhook-service"')
DENIED = refusal('admission webhook "pools.metallb.io" denied the request: invalid CIDR "10.1.1.0/99"', 400)


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def done(api: FakeApi, item: Object = POOL, told: list[str] | None = None) -> bool:
    return apply(api, item, (told if told is not None else []).append)


@pytest.mark.parametrize(
    "refusals",
    [
        [REFUSED, REFUSED, REFUSED],
        [NO_ENDPOINTS],
        [refusal(CALL + "tls: failed to verify certificate: x509: certificate signed by unknown authority")],
        [refusal('namespaces "metallb-system" not found', 404)],
        [refusal("the server is currently unable to handle the request", 503)],
        [refusal("too many requests", 429)],
        [Unavailable("API: https://10.1.1.50:6443: read timed out")],
    ],
    ids=["refused", "no-endpoints", "certificate", "namespace", "503", "429", "no-server"],
)
def test_what_does_not_serve_yet_is_tried_again(
    api: FakeApi, clock: FakeClock, refusals: list[Exception]
) -> None:
    api.refusals = list(refusals)
    told: list[str] = []
    assert done(api, told=told)
    assert clock.naps == len(refusals) == len(told)
    assert api.applied == [PATH]


@pytest.mark.parametrize(
    "final",
    [DENIED, refusal("unknown field spec.adresses", 422), refusal("forbidden", 403)],
    ids=["denied", "invalid", "forbidden"],
)
def test_a_real_refusal_fails_at_once_with_its_text(api: FakeApi, clock: FakeClock, final: ApiError) -> None:
    api.refusals = [final]
    with pytest.raises(ApiError) as failed:
        done(api)
    assert failed.value is final
    assert clock.naps == 0


def test_a_webhook_that_never_serves_is_told_with_object_deadline_and_last_answer(
    api: FakeApi, clock: FakeClock
) -> None:
    api.refusals = [REFUSED] * 1000
    begun = clock.now
    with pytest.raises(DeadlineError) as missed:
        done(api)
    assert missed.value.subject == "apply IPAddressPool/kube-system/default"
    assert "connection refused" in missed.value.last
    assert missed.value.last.endswith("connection refused"), "it names no service to look at"
    assert clock.now - begun == pytest.approx(120, abs=1)


def test_behind_a_webhook_that_never_serves_everything_is_looked_at(api: FakeApi, clock: FakeClock) -> None:
    """C32: the service, its endpoints and the end of the controller's log."""
    root = "/api/v1/namespaces/metallb-system"
    pod = {"metadata": {"name": "controller-1"}, "status": {"phase": "Running"}}
    api.objects |= {
        f"{root}/services/hook": {"spec": {"clusterIP": "10.96.0.7", "selector": {"app": "m", "b": "c"}}},
        f"{root}/endpoints/hook": {"subsets": [{"notReadyAddresses": [{"ip": "10.244.1.5"}]}]},
        f"{root}/pods?labelSelector=app%3Dm,b%3Dc": {"items": [pod]},
        f"{root}/pods/controller-1/log?tailLines=10": {"text": "one\nno certificate\n"},
    }
    never = 'failed calling webhook "x": Post "https://hook.metallb-system.svc:443/v": connection refused'
    api.refusals = [refusal(never)] * 1000
    with pytest.raises(DeadlineError) as missed:
        done(api)
    assert missed.value.last.splitlines()[1:] == [
        "  service metallb-system/hook: 10.96.0.7",
        "  endpoints: 10.244.1.5 (not ready)",
        "  pod controller-1: Running",
        "    one",
        "    no certificate",
    ]
    assert clock.now


def test_a_webhook_without_a_service_is_told_as_that(api: FakeApi) -> None:
    said = evidence(api, 'Post "https://hook.metallb-system.svc:443/v": connection refused')
    assert said == "\n  service metallb-system/hook: does not exist"


def test_a_kind_that_was_just_introduced_is_waited_for(api: FakeApi) -> None:
    api.unknown_kinds = {"IPAddressPool"}
    with pytest.raises(DeadlineError, match="does not serve IPAddressPool"):
        done(api)
    api.unknown_kinds = set()
    assert done(api)


def test_applying_again_changes_nothing_and_says_so(api: FakeApi) -> None:
    assert done(api)
    assert not done(api)
    assert done(api, POOL | {"spec": {"addresses": ["10.1.1.100-10.1.1.120"]}})


def test_a_status_that_moves_meanwhile_is_no_change_of_ours(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    done(api)
    real = api.apply

    def moves(item: Object, *, dry_run: bool = False) -> Object:
        after = real(item, dry_run=dry_run)
        return after | {"metadata": after["metadata"] | {"resourceVersion": "99"}, "status": {"assigned": 1}}

    monkeypatch.setattr(api, "apply", moves)
    assert not done(api)


def test_what_would_change_is_told_without_changing_it(api: FakeApi) -> None:
    missing = changed(api, POOL)
    assert missing is not None
    assert (missing.name, missing.before) == ("IPAddressPool/kube-system/default", "")
    assert yaml.safe_load(missing.after) == POOL
    assert api.objects == {}
    done(api)
    assert changed(api, POOL) is None
    api.objects[PATH]["spec"]["addresses"] = ["10.1.1.7-10.1.1.8"]
    drifted = changed(api, POOL)
    assert drifted is not None
    assert "-  - 10.1.1.7-10.1.1.8\n+  - 10.1.1.100-10.1.1.150\n" in drifted.diff
    assert api.objects[PATH]["spec"]["addresses"] == ["10.1.1.7-10.1.1.8"]


def test_what_a_server_adds_by_itself_is_no_change(api: FakeApi) -> None:
    done(api)
    live = api.objects[PATH]
    live["metadata"] |= {"uid": "u", "managedFields": [{}], "creationTimestamp": "now", "generation": 3}
    live["status"] = {"assigned": 4}
    live["spec"]["avoidBuggyIPs"] = False
    assert changed(api, POOL) is None


def test_an_object_of_a_kind_or_namespace_that_is_still_missing_is_new(api: FakeApi) -> None:
    api.unknown_kinds = {"IPAddressPool"}
    assert changed(api, POOL) is not None
    api.unknown_kinds = set()
    assert changed(api, POOL | {"metadata": {"name": "default", "namespace": "nowhere"}}) is not None


def test_a_dry_run_is_patient_with_webhooks_too_and_final_otherwise(api: FakeApi) -> None:
    done(api)
    api.refusals = [REFUSED, NO_ENDPOINTS]
    assert changed(api, POOL) is None
    api.refusals = [DENIED]
    with pytest.raises(ApiError, match="invalid CIDR"):
        changed(api, POOL)


WANTED = Secret(namespace="kube-system", name="memberlist", key="secretkey")
SECRET_PATH = "/api/v1/namespaces/kube-system/secrets/memberlist"


def test_a_random_secret_is_made_once_and_never_again(api: FakeApi) -> None:
    assert ensure_secret(api, WANTED)
    made = api.objects[SECRET_PATH]["stringData"]["secretkey"]
    assert len(base64.b64decode(made)) == 128
    assert not ensure_secret(api, WANTED)
    other = FakeApi()
    ensure_secret(other, WANTED)
    assert other.objects[SECRET_PATH]["stringData"]["secretkey"] != made


def test_an_object_is_named_by_kind_namespace_and_name() -> None:
    assert title(POOL) == "IPAddressPool/kube-system/default"
    assert title({"kind": "Namespace", "metadata": {"name": "x"}}) == "Namespace/x"


def test_text_of_an_object_leaves_out_what_the_server_keeps_for_itself() -> None:
    meta = {"name": "x", "labels": {"a": "b"}, "resourceVersion": "7", "uid": "u", "managedFields": []}
    text = as_text({"kind": "K", "metadata": meta, "status": {"ready": True}})
    assert yaml.safe_load(text) == {"kind": "K", "metadata": {"name": "x", "labels": {"a": "b"}}}
    assert meta["uid"] == "u"


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
        ("daemonset", dict.fromkeys(DAEMONSET, 0) | {"observedGeneration": 3}, "0 of 0 ready"),
        ("daemonset", {}, "0 of 0 ready"),
    ],
)
def test_a_workload_is_ready_when_its_newest_version_runs_everywhere(
    api: FakeApi, kind: str, status: Object, said: str
) -> None:
    path = f"/apis/apps/v1/namespaces/kube-system/{kind}s/x"
    api.objects[path] = {"metadata": {"generation": 3}, "spec": {"replicas": 2}, "status": status}
    if not said:
        workload_ready(api, f"{kind}/kube-system/x")
        return
    with pytest.raises(NotYet, match=f"{kind}/kube-system/x: {said}"):
        workload_ready(api, f"{kind}/kube-system/x")


def test_a_workload_that_does_not_exist_is_waited_for(api: FakeApi) -> None:
    with pytest.raises(NotYet, match="daemonset/kube-system/x: does not exist"):
        workload_ready(api, "daemonset/kube-system/x")


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
        workload_ready(api, "job/toy/setup")
    api.objects["/apis/batch/v1/namespaces/toy/jobs/setup"] = job(conditions=condition("Complete"))
    workload_ready(api, "job/toy/setup")


def test_a_job_that_has_failed_is_told_at_once_with_the_reason(api: FakeApi) -> None:
    failed = condition("Failed", reason="BackoffLimitExceeded", message="has reached the backoff limit")
    api.objects["/apis/batch/v1/namespaces/toy/jobs/setup"] = job(conditions=failed)
    with pytest.raises(FailedError, match="has reached the backoff limit") as error:
        workload_ready(api, "job/toy/setup")
    assert error.value.next_step == "invoke kubectl -- -n toy logs job/setup"
