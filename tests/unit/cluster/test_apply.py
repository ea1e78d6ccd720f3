"""Applying objects: only what differs, patient with webhooks that do not serve yet, final otherwise (C32)."""

from __future__ import annotations

import base64

import pytest
import yaml

from lab.addons import addons
from lab.addons.mark import LABEL
from lab.addons.model import Secret
from lab.cluster.api import ApiError, Unavailable
from lab.cluster.apply import apply, as_text, changed, ensure_secret
from lab.cluster.webhooks import evidence
from lab.errors import DeadlineError
from lab.objects import Object, title
from tests.fake_api import FakeApi
from tests.fakes import FakeClock

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
        [refusal("etcdserver: request timed out", 500)],
        [Unavailable("API: https://10.1.1.50:6443: read timed out")],
    ],
    ids=["refused", "no-endpoints", "certificate", "namespace", "503", "429", "etcd", "no-server"],
)
def test_c32_what_does_not_serve_yet_is_tried_again(
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
def test_c32_a_real_refusal_fails_at_once_with_its_text(
    api: FakeApi, clock: FakeClock, final: ApiError
) -> None:
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


def test_c32_behind_a_webhook_that_never_serves_everything_is_looked_at(
    api: FakeApi, clock: FakeClock
) -> None:
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


def test_c32_applying_again_changes_nothing_and_says_so(api: FakeApi) -> None:
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


METALLB = next(item for item in addons() if item.name == "metallb")
WANTED = Secret(namespace="kube-system", name="memberlist", key="secretkey")
SECRET_PATH = "/api/v1/namespaces/kube-system/secrets/memberlist"


def test_a_random_secret_is_made_once_and_never_again(api: FakeApi) -> None:
    assert ensure_secret(api, METALLB, WANTED)
    made = api.objects[SECRET_PATH]["stringData"]["secretkey"]
    assert api.objects[SECRET_PATH]["metadata"]["labels"] == {LABEL: "metallb"}
    assert len(base64.b64decode(made)) == 128
    assert not ensure_secret(api, METALLB, WANTED)
    other = FakeApi()
    ensure_secret(other, METALLB, WANTED)
    assert other.objects[SECRET_PATH]["stringData"]["secretkey"] != made


def test_an_object_is_named_by_kind_namespace_and_name() -> None:
    assert title(POOL) == "IPAddressPool/kube-system/default"
    assert title({"kind": "Namespace", "metadata": {"name": "x"}}) == "Namespace/x"


WRITTEN = {"name": "x", "labels": {"a": "b"}, "annotations": {"c": "d"}}


def test_text_of_an_object_leaves_out_what_the_server_keeps_for_itself() -> None:
    meta = {"name": "x", "labels": {"a": "b"}, "resourceVersion": "7", "uid": "u", "managedFields": []}
    meta["annotations"] = {"c": "d", "deprecated.daemonset.template.generation": "3"}
    text = as_text({"kind": "K", "metadata": meta, "status": {"ready": True}})
    assert yaml.safe_load(text) == {"kind": "K", "metadata": WRITTEN}
    assert meta["uid"] == "u"
