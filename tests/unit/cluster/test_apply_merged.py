"""What server-side apply cannot mend, as a port that was edited by hand: a merge patch lays ours over it."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.api import FIELD_MANAGER, ApiError
from lab.cluster.apply import apply, changed
from lab.cluster.drift import drift
from lab.objects import Object
from tests.fake_api import OURS, FakeApi
from tests.fakes import FakeClock

META = {"name": "web", "namespace": "kube-system"}
PORTS = [{"name": "web", "port": 80}, {"name": "admin", "port": 81}]
SERVICE: Object = {"apiVersion": "v1", "kind": "Service", "metadata": META, "spec": {"ports": PORTS}}
CONTAINER: Object = {"name": "web", "image": "web:1", "ports": [{"name": "web", "containerPort": 8080}]}
DEPLOYMENT: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": META,
    "spec": {"template": {"spec": {"containers": [CONTAINER]}}},
}
BY_PATCH = {"manager": FIELD_MANAGER, "operation": "Update"}
BY_HAND = {"manager": "kubectl-edit", "operation": "Update"}


class Server(FakeApi):
    """Notes who has patched an object, and refuses patches as it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.patch_refusals: list[ApiError] = []

    def merge(self, item: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:
        if self.patch_refusals:
            raise self.patch_refusals.pop(0)
        after = super().merge(item, dry_run=dry_run, manager=manager)
        if not dry_run:
            self.objects[self.path(item)]["metadata"]["managedFields"].append(BY_PATCH)
            after = self.objects[self.path(item)]
        return after


@pytest.fixture
def api() -> Server:
    made = Server()
    for item in (SERVICE, DEPLOYMENT):
        done(made, item)
    made.applied.clear()
    return made


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def done(api: FakeApi, item: Object) -> bool:
    return apply(api, item, list[str]().append)


def edited(api: FakeApi, item: Object) -> Object:
    """The living object with the first number of a port edited by hand."""
    living = api.objects[api.path(item)]
    spec: Any = living["spec"]
    if item["kind"] == "Service":
        spec["ports"] = [{"name": "web", "port": 8000}, *PORTS[1:]]
    else:
        spec["template"]["spec"]["containers"] = [
            CONTAINER | {"ports": [{"name": "web", "containerPort": 9999}]}
        ]
    living["metadata"]["managedFields"].append(BY_HAND)
    return living


@pytest.mark.parametrize(
    ("item", "gone", "back"),
    [(SERVICE, "port: 8000", "port: 80"), (DEPLOYMENT, "containerPort: 9999", "containerPort: 8080")],
    ids=["service", "deployment"],
)
def test_a_port_that_was_edited_is_planned_as_a_diff_and_put_back(
    api: Server, item: Object, gone: str, back: str
) -> None:
    edited(api, item)
    with pytest.raises(ApiError, match='Duplicate value: "web"'):
        api.apply(item, dry_run=True)
    change = changed(api, item)
    assert change is not None
    assert change.sentence == f"change {item['kind']}/kube-system/web"
    removed, added = (
        [line[1:].strip(" -") for line in change.diff.splitlines()[2:] if line.startswith(sign)]
        for sign in "-+"
    )
    assert (removed, added) == ([gone], [back])
    assert api.applied == api.merged == [], "looking changes nothing"
    assert done(api, item)
    assert api.objects[api.path(item)]["spec"] == item["spec"]
    assert changed(api, item) is None
    assert not done(api, item)


def test_what_was_edited_is_told_field_by_field(api: Server) -> None:
    edited(api, SERVICE)
    [found] = drift(api, SERVICE)
    assert str(found) == "Service/kube-system/web spec.ports[name=web].port: 8000 (rendered: 80)"


def test_what_the_patch_wrote_belongs_to_apply_again(api: Server) -> None:
    edited(api, SERVICE)
    done(api, SERVICE)
    assert api.objects[api.path(SERVICE)]["metadata"]["managedFields"] == [OURS, BY_HAND]
    assert api.applied == [api.path(SERVICE)]


def refusal(status: int, said: str) -> ApiError:
    return ApiError("PATCH x", status, said)


def test_of_what_cannot_be_patched_either_the_first_refusal_is_told_with_what_to_do(
    api: Server, clock: FakeClock
) -> None:
    edited(api, DEPLOYMENT)
    immutable = 'Deployment.apps "web" is invalid: spec.selector: field is immutable'
    for act in (changed, done):
        api.refusals = [refusal(422, immutable)]
        api.patch_refusals = [refusal(422, "another text")]
        with pytest.raises(ApiError) as refused:
            act(api, DEPLOYMENT)
        assert refused.value.message == f"API: Deployment/kube-system/web: 422: {immutable}"
        assert refused.value.next_step == (
            "look at it: invoke kubectl -- -n kube-system get deployment.apps web -o yaml; what cannot be "
            "changed in place is removed by hand, then invoke build"
        )
    assert clock.naps == 0
    assert api.merged == []


def test_a_patch_is_patient_with_webhooks_too(api: Server, clock: FakeClock) -> None:
    edited(api, SERVICE)
    silent = refusal(500, 'failed calling webhook "a.toy.io": connection refused')
    api.patch_refusals = [silent]
    assert changed(api, SERVICE) is not None
    api.patch_refusals = [silent, refusal(503, "etcd has no leader")]
    assert done(api, SERVICE)
    assert clock.naps == 3


def test_what_is_refused_for_another_reason_is_not_patched(api: Server) -> None:
    edited(api, SERVICE)
    for status in (400, 403):
        api.refusals = [refusal(status, "denied the request")]
        with pytest.raises(ApiError, match="denied the request"):
            done(api, SERVICE)
    assert api.merged == []


def test_a_change_is_told_although_its_end_was_tried_twice(
    api: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the patch has done is there when it is looked at again."""
    edited(api, SERVICE)
    first, away = api.request, [refusal(503, "etcd has no leader")]

    def request(method: str, path: str, body: Any = None, *rest: Any, **more: Any) -> Object:
        if isinstance(body, dict) and "spec" not in body and away:
            raise away.pop()
        return first(method, path, body, *rest, **more)

    monkeypatch.setattr(api, "request", request)
    assert done(api, SERVICE)
    assert not away
