"""Pods that stand in the way of a StatefulSet's newest version are planned, and replaced, and no others."""

from __future__ import annotations

import copy

import pytest

from lab.cluster.apply import ObjectChange, apply, changed
from lab.cluster.stateful import in_the_way, replace_pods, replacements
from lab.errors import DeadlineError
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.fakes import FakeClock

SPACE = "/api/v1/namespaces/toy"
PATH = "/apis/apps/v1/namespaces/toy/statefulsets/store"
SENTENCE = "replace Pod/toy/store-0, which is not Ready: the newest version would wait for it"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def unheard(_state: str) -> None:
    """Nobody listens."""


def wanted(image: str = "good", **spec: object) -> Object:
    template = {"metadata": {"labels": {"app": "store"}}, "spec": {"containers": [{"image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "store", "namespace": "toy"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "store"}}, "template": template} | spec,
    }


class Served(FakeApi):
    """A StatefulSet whose controller gives each template a version, named by its image."""

    sees = True

    def __init__(self, item: Object) -> None:
        super().__init__()
        self.objects[SPACE] = {"kind": "Namespace", "metadata": {"name": "toy"}}
        apply(self, item, unheard)

    def get(self, path: str) -> Object | None:
        found = super().get(path)
        if found and found.get("kind") == "StatefulSet":
            image = found["spec"]["template"]["spec"]["containers"][0]["image"]
            seen = found["metadata"]["generation"] if self.sees else 0
            found["status"] = {"updateRevision": image, "observedGeneration": seen}
        return found

    def runs(self, name: str, version: str, is_so: bool = False, uid: str = "") -> None:
        self.objects[f"{SPACE}/pods/{name}"] = {
            "metadata": {
                "name": name,
                "namespace": "toy",
                "uid": name,
                "labels": {"app": "store", "controller-revision-hash": version},
                "ownerReferences": [{"uid": uid or self.objects[PATH]["metadata"]["uid"]}],
            },
            "status": {"conditions": [{"type": "Ready", "status": str(is_so)}]},
        }


def planned(api: FakeApi, item: Object) -> list[str]:
    change = changed(api, item)
    return [found.sentence for found in replacements(api, item, [change] if change else [])]


def test_a_broken_pod_is_planned_with_the_change_of_its_template_and_replaced_once() -> None:
    api = Served(wanted("bad"))
    api.runs("store-0", "bad")
    assert planned(api, wanted("bad")) == []
    assert planned(api, wanted("good")) == [SENTENCE]
    assert not api.deleted
    assert apply(api, wanted("good"), unheard)
    assert planned(api, wanted("good")) == [SENTENCE], "a build that was cut right here is finished"
    assert replace_pods(api, wanted("good"), unheard) == 1
    assert api.deleted == [f"{SPACE}/pods/store-0"]
    api.runs("store-0", "good")
    assert planned(api, wanted("good")) == []
    assert replace_pods(api, wanted("good"), unheard) == 0


def test_a_change_that_makes_no_version_replaces_no_pod() -> None:
    api = Served(wanted())
    api.runs("store-0", "good")
    assert planned(api, wanted(replicas=3)) == []


def test_pods_that_are_ready_or_somebody_elses_are_left_alone() -> None:
    api = Served(wanted("bad"))
    api.runs("store-0", "bad", is_so=True)
    api.runs("debug", "bad", uid="another")
    assert planned(api, wanted("good")) == []
    apply(api, wanted("good"), unheard)
    assert replace_pods(api, wanted("good"), unheard) == 0


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ({}, ["store-0", "store-1"]),
        ({"podManagementPolicy": "OrderedReady"}, ["store-0", "store-1"]),
        ({"podManagementPolicy": "Parallel"}, []),
        ({"updateStrategy": {"type": "OnDelete"}}, []),
        ({"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}}, ["store-1"]),
    ],
)
def test_whom_the_controller_replaces_and_whom_a_person_is_not_ours_to_replace(
    spec: Object, names: list[str]
) -> None:
    api = Served(wanted("good", **spec))
    for name in ("store-0", "store-1"):
        api.runs(name, "bad")
    pods = [copy.deepcopy(api.objects[f"{SPACE}/pods/{name}"]) for name in ("store-0", "store-1")]
    live = api.get(PATH)
    assert live
    assert [pod["metadata"]["name"] for pod in in_the_way(live, pods, changes=False)] == names
    pods[0]["metadata"]["deletionTimestamp"] = "2026-12-01T00:00:00Z"
    left = [pod["metadata"]["name"] for pod in in_the_way(live, pods, changes=True)]
    assert left == [name for name in names if name != "store-0"], "it is going already"


def test_nothing_is_replaced_before_the_controller_has_seen_the_newest_version() -> None:
    api, told = Served(wanted("good")), list[str]()
    api.runs("store-0", "bad")
    api.sees = False
    with pytest.raises(DeadlineError, match=r"pods of StatefulSet/toy/store.*has not seen its"):
        replace_pods(api, wanted("good"), told.append)
    assert told
    assert not api.deleted


def test_a_pod_that_was_replaced_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Served(wanted("good"))
    api.runs("store-0", "bad")
    listed = FakeApi.items

    def outrun(self: FakeApi, path: str) -> list[Object]:
        found = listed(self, path)
        api.objects[f"{SPACE}/pods/store-0"]["metadata"]["uid"] = "a new one"
        return found

    monkeypatch.setattr(FakeApi, "items", outrun)
    assert replace_pods(api, wanted("good"), unheard) == 1
    assert not api.deleted


def test_other_kinds_and_what_does_not_live_have_no_such_pods() -> None:
    api = Served(wanted())
    other = wanted() | {"kind": "Deployment"}
    assert replacements(api, other, []) == []
    assert replace_pods(api, other, unheard) == 0
    del api.objects[PATH]
    assert replacements(api, wanted(), [ObjectChange("StatefulSet/toy/store", "", "")]) == []
    assert replace_pods(api, wanted(), unheard) == 0
