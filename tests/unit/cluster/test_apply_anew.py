"""Objects that are on their way out, and those that the API changes no more: waited for, or made anew."""

from __future__ import annotations

import copy
import json

import pytest

from lab.cluster.api import ApiError, Unavailable, _message
from lab.cluster.apply import apply, changed
from lab.cluster.drift import drift
from lab.errors import DeadlineError
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.fakes import FakeClock

GO_VALUE = (
    'core.PodTemplateSpec{Labels:map[string]string{"a":"b"}, Spec:core.PodSpec{Volumes:[]core.Volume(nil)}}'
)
IMMUTABLE = f'Job.batch "setup" is invalid: spec.template: Invalid value: {GO_VALUE}: field is immutable'
GONE_AT = {"deletionTimestamp": "2026-12-01T00:00:00Z"}


class Settled(FakeApi):
    """Refuses what batch/v1 refuses: another template for an object that is there."""

    reason = "field is immutable"
    goes_after = 0
    """Looks after which an object is gone that is being removed; 0 for never."""

    def get(self, path: str) -> Object | None:
        found = super().get(path)
        if found and self.goes_after and "deletionTimestamp" in found["metadata"]:
            self.goes_after -= 1
            if not self.goes_after:
                del self.objects[path]
        return found

    def apply(self, item: Object, *, dry_run: bool = False, manager: str = "plumbline") -> Object:
        self._judge(item)
        return super().apply(item, dry_run=dry_run, manager=manager)

    def merge(self, item: Object, *, dry_run: bool = False, manager: str = "plumbline") -> Object:
        self._judge(item)
        return super().merge(item, dry_run=dry_run, manager=manager)

    def _judge(self, item: Object) -> None:
        live = self.objects.get(self.path(item))
        if live and live["spec"]["template"] != item["spec"]["template"]:
            raise ApiError(f"PATCH {self.path(item)}", 422, self.reason)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def workload(kind: str, word: str) -> Object:
    spec = {"template": {"spec": {"containers": [{"name": "setup", "args": [word]}]}}}
    meta = {"name": "setup", "namespace": "kube-system"}
    return {"apiVersion": "batch/v1", "kind": kind, "metadata": meta, "spec": spec}


def done(api: FakeApi, item: Object, told: list[str]) -> bool:
    return apply(api, item, told.append)


def test_a_job_with_another_template_is_planned_as_replaced_and_made_anew() -> None:
    api, told = Settled(), list[str]()
    done(api, workload("Job", "old"), told)
    path = api.path(workload("Job", "new"))
    first = api.objects[path]["metadata"]["uid"]
    change = changed(api, workload("Job", "new"))
    assert change is not None
    assert change.sentence == "replace Job/kube-system/setup, which the API does not change"
    assert "- old" in change.diff
    assert api.deleted == [], "looking changes nothing"
    assert done(api, workload("Job", "new"), told)
    assert api.deleted == [path]
    assert api.objects[path]["metadata"]["uid"] != first
    assert told == ["is made anew"]
    assert changed(api, workload("Job", "new")) is None


def test_what_differs_of_such_a_job_is_told_field_by_field() -> None:
    api = Settled()
    done(api, workload("Job", "old"), [])
    found = drift(api, workload("Job", "new"))
    assert [one.path for one in found] == ["spec.template.spec.containers[name=setup].args"]


def test_another_kind_is_not_removed_for_that() -> None:
    api = Settled()
    done(api, workload("StatefulSet", "old"), [])
    with pytest.raises(ApiError, match="immutable"):
        changed(api, workload("StatefulSet", "new"))
    with pytest.raises(ApiError, match="immutable"):
        done(api, workload("StatefulSet", "new"), [])
    assert api.deleted == []


def test_a_job_that_the_api_refuses_for_another_reason_stays() -> None:
    api = Settled()
    done(api, workload("Job", "old"), [])
    api.reason = "unknown field spec.templates"
    with pytest.raises(ApiError, match="unknown field"):
        done(api, workload("Job", "new"), [])
    assert api.deleted == []


def test_an_object_that_is_being_removed_is_waited_for_and_made_again(clock: FakeClock) -> None:
    api, told, item = Settled(), list[str](), workload("Job", "same")
    done(api, item, told)
    path = api.path(item)
    living = copy.deepcopy(api.objects[path])
    living["metadata"] |= GONE_AT
    api.objects[path] = living
    change = changed(api, item)
    assert change is not None
    assert change.sentence == "create Job/kube-system/setup"
    assert [str(one) for one in drift(api, item)] == [
        "Job/kube-system/setup: is being removed (rendered: there)"
    ]
    api.goes_after = 3
    assert done(api, item, told)
    assert clock.naps == 3
    assert "deletionTimestamp" not in api.objects[path]["metadata"]


def test_an_api_that_cannot_be_asked_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    api, told, item = Settled(), list[str](), workload("Job", "same")
    first, away = api.get, iter([Unavailable("API: connection refused")])

    def get(path: str) -> Object | None:
        for error in away:
            raise error
        return first(path)

    monkeypatch.setattr(api, "get", get)
    assert done(api, item, told)
    assert told == ["API: connection refused"]


def test_one_that_does_not_go_is_told_with_its_finalizers() -> None:
    api, told, item = Settled(), list[str](), workload("Job", "same")
    done(api, item, told)
    api.objects[api.path(item)]["metadata"] |= GONE_AT | {"finalizers": ["people.example/hold"]}
    with pytest.raises(DeadlineError) as missed:
        done(api, item, told)
    assert "people.example/hold" in missed.value.last
    assert "people.example/hold" in told[0]


def test_values_of_the_api_server_s_own_language_are_left_out() -> None:
    assert _message(json.dumps({"message": IMMUTABLE})) == (
        'Job.batch "setup" is invalid: spec.template: field is immutable'
    )
    plain = 'spec.replicas: Invalid value: "x{": must be a number'
    assert _message(json.dumps({"message": plain})) == plain
