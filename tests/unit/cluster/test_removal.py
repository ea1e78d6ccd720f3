"""Removing: in an order in which nothing blocks, never another object of the name, and waited for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.cluster.api import FIELD_MANAGER, Unavailable
from lab.cluster.discovery import Item, living
from lab.cluster.removal import GONE_SECONDS, remove, stages
from lab.errors import DeadlineError, FailedError
from lab.objects import Object
from tests.fake_api import FakeApi
from tests.fakes import FakeClock

EXTENSIONS, ADMISSION = "apiextensions.k8s.io/v1", "admissionregistration.k8s.io/v1"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def put(api: FakeApi, kind: str, name: str, space: str = "", version: str = "v1") -> Object:
    meta = {"name": name, "uid": f"uid of {name}"} | ({"namespace": space} if space else {})
    item = {"apiVersion": version, "kind": kind, "metadata": meta}
    api.objects[api.path(item)] = item
    return item


@pytest.fixture
def api() -> FakeApi:
    """An add-on with all that can stand in each other's way."""
    made = FakeApi()
    put(made, "Namespace", "toy")
    put(made, "CustomResourceDefinition", "toys.x.io", version=EXTENSIONS)
    put(made, "ClusterRole", "toy", version="rbac.authorization.k8s.io/v1")
    put(made, "ConfigMap", "toy", "toy")
    put(made, "Toy", "one", "toy", "x.io/v1")
    put(made, "Deployment", "toy", "toy", "apps/v1")
    put(made, "Job", "setup", "toy", "batch/v1")
    put(made, "APIService", "v1.toy", version="apiregistration.k8s.io/v1")
    put(made, "ValidatingWebhookConfiguration", "toy", version=ADMISSION)
    return made


def quiet(_: str) -> None:
    return


def test_webhooks_go_first_then_custom_objects_workloads_the_rest_definitions_and_namespaces(
    api: FakeApi,
) -> None:
    items = living(api)
    assert [[item.key.kind for item in stage] for stage in stages(items, items)] == [
        ["APIService", "ValidatingWebhookConfiguration"],
        ["Toy"],
        ["Deployment", "Job"],
        ["ClusterRole", "ConfigMap"],
        ["CustomResourceDefinition"],
        ["Namespace"],
    ]


def test_an_object_is_removed_with_what_it_owns_and_only_the_one_that_was_seen(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Object] = {}
    delete = api.delete

    def noted(path: str, options: Object | None = None) -> bool:
        asked[path.split("/")[-2]] = options or {}
        return delete(path, options)

    monkeypatch.setattr(api, "delete", noted)
    items = living(api)
    remove(api, items, items, quiet)
    assert api.objects == {}
    assert len(asked) == len(items)
    assert all(options["preconditions"]["uid"].startswith("uid of ") for options in asked.values())
    waits = {kind for kind, options in asked.items() if options["propagationPolicy"] == "Foreground"}
    assert waits == {"deployments", "jobs"}, "their pods are gone when they are"


def one(api: FakeApi, name: str) -> list[Item]:
    return [item for item in living(api) if str(item.key) == name]


def test_an_object_that_is_gone_already_is_no_error(api: FakeApi) -> None:
    going = one(api, "ConfigMap/toy/toy")
    del api.objects[going[0].path]
    remove(api, going, going, quiet)


def test_another_object_of_the_same_name_is_left_alone(api: FakeApi) -> None:
    going = one(api, "ConfigMap/toy/toy")
    api.objects[going[0].path]["metadata"]["uid"] = "of somebody else"
    with pytest.raises(FailedError, match="ConfigMap/toy/toy: is another object than the one"):
        remove(api, going, going, quiet)
    assert going[0].path in api.objects


def test_one_that_is_made_anew_meanwhile_is_not_waited_for(api: FakeApi) -> None:
    going = one(api, "ConfigMap/toy/toy")
    api.stuck.add(going[0].path)
    made_anew = FakeApi.get

    def get(path: str) -> Object | None:
        api.objects[path]["metadata"]["uid"] = "new"
        return made_anew(api, path)

    api.get = get  # type: ignore[method-assign]
    remove(api, going, going, quiet)


def last(api: FakeApi, name: str, change: Callable[[Object], None]) -> str:
    going = one(api, name)
    api.stuck.add(going[0].path)
    change(api.objects[going[0].path])
    said: list[str] = []
    with pytest.raises(DeadlineError) as error:
        remove(api, going, going, said.append)
    assert error.value.seconds == GONE_SECONDS
    assert said[-1].endswith(error.value.last)
    return str(error.value)


def test_an_object_that_does_not_go_is_told_with_its_finalizers(api: FakeApi) -> None:
    def held(item: Object) -> None:
        item["metadata"] |= {"deletionTimestamp": "now", "finalizers": ["x.io/a", "x.io/b"]}

    said = last(api, "Toy/toy/one", held)
    assert "removal of Toy/toy/one: not within 300 s; last seen: finalizers: x.io/a, x.io/b" in said
    assert "invoke kubectl -- get toys -A -o yaml" in said


def test_a_namespace_that_does_not_go_tells_what_is_left_in_it(api: FakeApi) -> None:
    def held(item: Object) -> None:
        item["metadata"]["deletionTimestamp"] = "now"
        item["spec"] = {"finalizers": ["kubernetes"]}
        item["status"] = {
            "conditions": [
                {
                    "type": "NamespaceContentRemaining",
                    "status": "True",
                    "message": "toys.x.io has 1 instance",
                },
                {"type": "NamespaceDeletionDiscoveryFailure", "status": "False", "message": "all is well"},
            ]
        }

    assert "last seen: finalizers: kubernetes; toys.x.io has 1 instance\n" in last(api, "Namespace/toy", held)


def test_an_object_that_nobody_begins_to_remove_is_told_as_such(api: FakeApi) -> None:
    assert "last seen: is not being removed" in last(api, "ConfigMap/toy/toy", lambda _: None)


def test_an_api_that_goes_away_while_it_is_waited_for_is_not_the_end(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    going, get, away = one(api, "ConfigMap/toy/toy"), api.get, iter([Unavailable("API: unexpected EOF")])

    def flaky(path: str) -> Object | None:
        for error in away:
            raise error
        return get(path)

    monkeypatch.setattr(api, "get", flaky)
    remove(api, going, going, quiet)
    assert FIELD_MANAGER == "plumbline", "objects of older labs are known by this name: it never changes"
