"""Which living objects are ours, what of them is left over, and what people would lose with it."""

from __future__ import annotations

from typing import Any

import pytest

from lab.addons import AddOn, addons
from lab.addons.mark import LABEL, NEEDS, marked
from lab.cluster.api import ApiError
from lab.cluster.data import losses
from lab.cluster.discovery import Item, ObjectKey, living, resources
from lab.cluster.owned import OLDER, left_over, named, needs_of, ours
from lab.errors import DeadlineError, FailedError
from lab.objects import Object
from tests.fake_api import OURS, FakeApi
from tests.fakes import FakeClock

BY_HAND = {"manager": "kubectl-client-side-apply", "operation": "Update"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def put(api: FakeApi, kind: str, name: str, space: str = "", *, version: str = "v1", **more: Any) -> Object:
    """An object that lies in the cluster; `more` are parts of its metadata, `spec` is its own."""
    spec = more.pop("spec", {})
    meta = {"name": name, "uid": f"uid of {name}", **more} | ({"namespace": space} if space else {})
    item = {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}
    api.objects[api.path(item)] = item
    return item


def label(name: str) -> dict[str, Any]:
    return {"labels": {LABEL: name}}


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
    wanted = named({addon("metallb"): [obj("Deployment", "a", "x", "apps/v1")], addon("traefik"): []})
    assert wanted == {
        ObjectKey("apps", "Deployment", "x", "a"),
        ObjectKey("", "Namespace", "", "x"),
        ObjectKey("", "Secret", "metallb-system", "memberlist"),
        ObjectKey("", "Namespace", "", "metallb-system"),
        ObjectKey("", "Secret", "traefik", "default-certificate"),
        ObjectKey("", "Namespace", "", "traefik"),
    }


def test_an_object_of_two_add_ons_is_an_error_that_names_both() -> None:
    space = [obj("Namespace", "monitoring")]
    with pytest.raises(FailedError, match="Namespace/monitoring: add-on traefik and add-on metallb"):
        named({addon("metallb"): space, addon("traefik"): space})


def test_left_over_is_what_is_ours_and_not_named_in_whatever_version() -> None:
    api = FakeApi()
    put(api, "IPAddressPool", "new", "x", version="metallb.io/v1beta2", **label("metallb"))
    put(api, "IPAddressPool", "old", "x", version="metallb.io/v1beta2", **label("metallb"))
    put(api, "ClusterRole", "c", version="rbac.authorization.k8s.io/v1", **label("metallb"))
    rendered = [
        obj("IPAddressPool", "new", "x", "metallb.io/v1beta1"),
        obj("ClusterRole", "c", "written-down-with-one", "rbac.authorization.k8s.io/v1"),
    ]
    left = left_over(living(api), named({addon("metallb"): rendered}))
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


# --- data


def lost(api: FakeApi, *names: str) -> list[str]:
    items = living(api)
    going: list[Item] = [item for item in items if str(item.key) in names]
    assert len(going) == len(names)
    return sorted(str(loss) for loss in losses(api, going, items))


def test_volumes_and_claims_are_data_whoever_made_them() -> None:
    api = FakeApi()
    put(api, "PersistentVolumeClaim", "a", "x", **label("toy"))
    put(api, "PersistentVolume", "b", **label("toy"))
    put(api, "ConfigMap", "c", "x", **label("toy"))
    assert lost(api, "PersistentVolumeClaim/x/a", "PersistentVolume/b", "ConfigMap/x/c") == [
        "PersistentVolume/b: is data",
        "PersistentVolumeClaim/x/a: is data",
    ]


def test_a_claim_that_goes_with_its_stateful_set_is_data() -> None:
    api = FakeApi()
    work = put(api, "StatefulSet", "db", "x", version="apps/v1", **label("toy"))
    owner = [{"uid": work["metadata"]["uid"], "kind": "StatefulSet", "name": "db"}]
    put(api, "PersistentVolumeClaim", "kept", "x")
    put(api, "PersistentVolumeClaim", "data-db-0", "x", ownerReferences=owner)
    put(api, "Pod", "db-0", "x", ownerReferences=owner)
    assert lost(api, "StatefulSet/x/db") == [
        "StatefulSet/x/db: PersistentVolumeClaim/x/data-db-0 goes with it, which is data"
    ]


def test_what_people_made_in_a_namespace_goes_with_it_and_what_kubernetes_makes_is_nobodys() -> None:
    api = FakeApi()
    put(api, "Namespace", "x", **label("toy"))
    put(api, "ConfigMap", "kube-root-ca.crt", "x")
    put(api, "ServiceAccount", "default", "x")
    put(api, "Secret", "token", "x", annotations={"kubernetes.io/service-account.name": "default"})
    put(api, "Pod", "a-1", "x", ownerReferences=[{"uid": "u", "kind": "ReplicaSet", "name": "a"}])
    put(api, "Lease", "leader", "x", version="coordination.k8s.io/v1")
    assert lost(api, "Namespace/x") == []
    put(api, "ConfigMap", "mine", "x")
    put(api, "PersistentVolumeClaim", "data-0", "x", ownerReferences=[{"uid": "u"}])
    put(api, "ConfigMap", "mine", "elsewhere")
    assert lost(api, "Namespace/x") == [
        "Namespace/x: holds ConfigMap/x/mine, which is not ours",
        "Namespace/x: holds PersistentVolumeClaim/x/data-0, which is not ours",
    ]


def test_objects_of_people_go_with_the_definition_of_their_kind() -> None:
    api = FakeApi()
    put(api, "CustomResourceDefinition", "toys.x.io", version="apiextensions.k8s.io/v1", **label("toy"))
    put(api, "Toy", "ours", "x", version="x.io/v1", **label("toy"))
    put(api, "Toy", "made", "x", version="x.io/v1", ownerReferences=[{"uid": "u"}])
    put(api, "Toy", "other", "x", version="y.io/v1")
    names = ("CustomResourceDefinition/toys.x.io", "Toy/x/ours")
    assert lost(api, *names) == []
    put(api, "Toy", "mine", "y", version="x.io/v1")
    assert lost(api, *names) == ["CustomResourceDefinition/toys.x.io: defines Toy/y/mine, which is not ours"]


def test_a_kind_that_is_not_served_may_have_objects_of_people() -> None:
    api = FakeApi()
    put(api, "CustomResourceDefinition", "toys.x.io", version="apiextensions.k8s.io/v1", **label("toy"))
    [said] = lost(api, "CustomResourceDefinition/toys.x.io")
    assert said.endswith("the API does not serve it, so nobody can tell what there is of it")


def test_volumes_lose_who_serves_them_with_their_storage_class() -> None:
    api = FakeApi()
    put(api, "StorageClass", "fast", version="storage.k8s.io/v1", **label("toy"))
    put(api, "PersistentVolume", "a", spec={"storageClassName": "slow"})
    assert lost(api, "StorageClass/fast") == []
    put(api, "PersistentVolume", "b", spec={"storageClassName": "fast"})
    assert lost(api, "StorageClass/fast") == ["StorageClass/fast: PersistentVolume/b is of this class"]
