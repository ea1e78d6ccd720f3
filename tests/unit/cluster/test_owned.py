"""Which living objects are ours, and what of them is left over."""

from __future__ import annotations

from typing import Any

import pytest

from lab.addons import AddOn, addons
from lab.addons.mark import LABEL, NEEDS, marked
from lab.cluster.api import ApiError
from lab.cluster.discovery import ObjectKey, living, resources
from lab.cluster.owned import OLDER, left_over, named, needs_of, ours
from lab.errors import DeadlineError, FailedError
from lab.objects import Object
from tests.fake_api import OURS, FakeApi
from tests.fakes import FakeClock
from tests.unit.cluster.objects import label, put
from tests.world import inventory

LAB = inventory()

BY_HAND = {"manager": "kubectl-client-side-apply", "operation": "Update"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def found(api: FakeApi) -> dict[str, str]:
    return {str(item.key): addon for item, addon in ours(living(api)).items()}


# --- looking


def test_every_kind_is_looked_at_in_the_version_that_the_server_prefers() -> None:
    api = FakeApi()
    put(api, "Namespace", "a")
    put(api, "Deployment", "b", "a", version="apps/v1")
    assert [(kind.group, kind.kind, kind.namespaced) for kind in resources(api)] == [
        ("", "Namespace", False),
        ("apps", "Deployment", True),
    ]
    [space, work] = living(api)
    assert (space.path, str(space.key)) == ("/api/v1/namespaces/a", "Namespace/a")
    assert work.path == "/apis/apps/v1/namespaces/a/deployments/b"


def groups(*versions: Object) -> Object:
    return {"items": [{"metadata": {"name": "g"}, "versions": list(versions)}]}


def kind(name: str, *verbs: str) -> Object:
    return {"resource": name, "responseKind": {"kind": name}, "scope": "Namespaced", "verbs": list(verbs)}


def answering(monkeypatch: pytest.MonkeyPatch, answer: Object) -> FakeApi:
    api = FakeApi()
    empty: Object = {"items": []}
    monkeypatch.setattr(api, "request", lambda _, path, **__: answer if path == "/apis" else empty)
    return api


def test_what_cannot_be_listed_or_deleted_is_nobodys_to_remove(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [kind("a", "get", "list", "delete"), kind("b", "get", "list"), kind("c", "create")]
    later = [kind("a", "list", "delete"), kind("d", "list", "delete")]
    answer = groups({"version": "v2", "resources": listed}, {"version": "v1", "resources": later})
    found = [(one.kind, one.version) for one in resources(answering(monkeypatch, answer))]
    assert found == [("a", "v2"), ("d", "v1")]


def test_a_kind_without_objects_is_an_empty_list_which_the_server_writes_as_null(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api = answering(monkeypatch, groups({"version": "v1", "resources": [kind("a", "list", "delete")]}))
    request = api.request

    def empty(method: str, path: str, **more: Any) -> Object:
        return {"items": None} if path == "/apis/g/v1/a" else request(method, path, **more)

    monkeypatch.setattr(api, "request", empty)
    assert living(api) == ()


def test_an_aggregated_api_that_does_not_answer_is_no_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = groups({"version": "v1", "freshness": "Stale"})
    with pytest.raises(DeadlineError, match="g/v1 does not answer"):
        resources(answering(monkeypatch, answer))


def test_a_kind_that_cannot_be_listed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    put(api, "Namespace", "a")
    request = api.request

    def forbidden(method: str, path: str, **more: Any) -> Object:
        if path == "/api/v1/namespaces":
            raise ApiError(f"{method} {path}", 403, "forbidden")
        return request(method, path, **more)

    monkeypatch.setattr(api, "request", forbidden)
    with pytest.raises(ApiError, match="403"):
        living(api)


# --- ours


def test_a_label_makes_an_object_ours_whoever_wrote_it_last() -> None:
    api = FakeApi()
    put(api, "ConfigMap", "a", "x", managedFields=[OURS], **label("toy"))
    put(api, "ConfigMap", "restored", "x", managedFields=[BY_HAND], **label("toy"))
    put(api, "ConfigMap", "theirs", "x", labels={"app": "toy"})
    assert found(api) == {"ConfigMap/x/a": "toy", "ConfigMap/x/restored": "toy"}


def test_what_a_controller_made_goes_with_its_owner_though_it_took_the_label_over() -> None:
    api = FakeApi()
    owner = [{"uid": "u", "kind": "Deployment", "name": "toy", "controller": True}]
    put(api, "ReplicaSet", "a", "x", version="apps/v1", ownerReferences=owner, **label("toy"))
    put(api, "Endpoints", "toy", "x", **label("toy"))
    put(api, "EndpointSlice", "toy-1", "x", version="discovery.k8s.io/v1", **label("toy"))
    assert found(api) == {}


def test_what_an_older_version_applied_is_ours_without_a_label() -> None:
    api = FakeApi()
    put(api, "Namespace", "toy", managedFields=[OURS], **label("toy"))
    put(api, "ConfigMap", "a", "toy", managedFields=[OURS])
    put(api, "ClusterRole", "b", version="rbac.authorization.k8s.io/v1", managedFields=[OURS, BY_HAND])
    assert found(api) == {"Namespace/toy": "toy", "ConfigMap/toy/a": "toy", "ClusterRole/b": OLDER}


def test_what_kubeadm_made_and_we_changed_is_not_ours_and_neither_is_what_we_only_updated() -> None:
    """Whoever restored kube-proxy by hand: it is never taken for ours."""
    api = FakeApi()
    put(api, "Deployment", "coredns", "kube-system", version="apps/v1", managedFields=[OURS])
    put(api, "ConfigMap", "kube-proxy", "kube-system", managedFields=[BY_HAND, OURS])
    put(api, "ConfigMap", "a", "x", managedFields=[{"manager": "plumbline", "operation": "Update"}])
    put(api, "ConfigMap", "b", "x")
    assert found(api) == {}


# --- left over


def addon(name: str) -> AddOn:
    return next(item for item in addons() if item.name == name)


def obj(kind: str, name: str, space: str = "", version: str = "v1") -> Object:
    meta = {"name": name, "namespace": space} if space else {"name": name}
    return {"apiVersion": version, "kind": kind, "metadata": meta}


def test_what_the_inventory_names_is_objects_their_namespaces_secrets_and_certificates() -> None:
    wanted = named({addon("metallb"): [obj("Deployment", "a", "x", "apps/v1")], addon("traefik"): []}, LAB)
    assert wanted == {
        ObjectKey("apps", "Deployment", "x", "a"),
        ObjectKey("", "Namespace", "", "x"),
        ObjectKey("", "Secret", "metallb-system", "memberlist"),
        ObjectKey("", "Secret", "metallb-system", "metallb-webhook-cert"),
        ObjectKey("", "Namespace", "", "metallb-system"),
        ObjectKey("", "Secret", "traefik", "default-certificate"),
        ObjectKey("", "Namespace", "", "traefik"),
    }


def test_an_object_of_two_add_ons_is_an_error_that_names_both() -> None:
    space = [obj("Namespace", "monitoring")]
    with pytest.raises(FailedError, match="Namespace/monitoring: add-on traefik and add-on metallb"):
        named({addon("metallb"): space, addon("traefik"): space}, LAB)


def test_left_over_is_what_is_ours_and_not_named_in_whatever_version() -> None:
    api = FakeApi()
    put(api, "IPAddressPool", "new", "x", version="metallb.io/v1beta2", **label("metallb"))
    put(api, "IPAddressPool", "old", "x", version="metallb.io/v1beta2", **label("metallb"))
    put(api, "ClusterRole", "c", version="rbac.authorization.k8s.io/v1", **label("metallb"))
    rendered = [
        obj("IPAddressPool", "new", "x", "metallb.io/v1beta1"),
        obj("ClusterRole", "c", "written-down-with-one", "rbac.authorization.k8s.io/v1"),
    ]
    left = left_over(living(api), named({addon("metallb"): rendered}, LAB))
    assert {str(item.key): name for item, name in left.items()} == {"IPAddressPool/x/old": "metallb"}


def test_the_needs_of_an_add_on_that_is_gone_stand_on_its_objects() -> None:
    api = FakeApi()
    item = marked(obj("ConfigMap", "a", "x"), addon("traefik"))
    assert item["metadata"]["annotations"] == {NEEDS: "metallb"}
    api.objects[api.path(item)] = item
    assert needs_of(living(api)) == {"metallb"}


def test_a_mark_stands_beside_what_an_object_has_and_changes_nothing_of_it() -> None:
    item = obj("Service", "a", "x")
    item["metadata"] |= {"labels": {"app": "a"}, "annotations": {"b": "c"}}
    made = marked(item, addon("metallb"))
    assert made["metadata"]["labels"] == {"app": "a", LABEL: "metallb"}
    assert made["metadata"]["annotations"] == {"b": "c", NEEDS: "flannel"}
    assert item["metadata"]["labels"] == {"app": "a"}
