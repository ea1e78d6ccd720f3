"""What people would lose with objects that are removed."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.data import losses
from lab.cluster.discovery import Item, living
from tests.fake_api import FakeApi
from tests.unit.cluster.objects import label, put


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


def owned_by(*names: str) -> dict[str, Any]:
    return {"ownerReferences": [{"uid": f"uid of {name}"} for name in names]}


@pytest.fixture
def toys() -> FakeApi:
    """A kind that goes; workloads that stay: a person's, with what was made for it, and one of ours."""
    api = FakeApi()
    put(api, "CustomResourceDefinition", "toys.x.io", version="apiextensions.k8s.io/v1", **label("toy"))
    put(api, "Toy", "ours", "x", version="x.io/v1", **label("toy"))
    put(api, "Deployment", "shop", "y", version="apps/v1")
    put(api, "ReplicaSet", "shop-1", "y", version="apps/v1", **owned_by("shop"))
    put(api, "Pod", "shop-1-a", "y", **owned_by("shop-1"))
    put(api, "DaemonSet", "agent", "z", version="apps/v1", **label("other"))
    put(api, "Pod", "agent-1", "z", **owned_by("agent"))
    put(api, "Node", "worker-1")
    return api


@pytest.mark.parametrize(
    "owners", [("shop",), ("shop-1",), ("shop-1-a",), ("agent-1", "shop-1"), ("ours", "shop")]
)
def test_an_object_whose_owner_is_a_persons_and_stays_is_that_persons(
    toys: FakeApi, owners: tuple[str, ...]
) -> None:
    put(toys, "Toy", "mine", "y", version="x.io/v1", **owned_by(*owners))
    told = ["CustomResourceDefinition/toys.x.io: defines Toy/y/mine, which is not ours"]
    assert lost(toys, "CustomResourceDefinition/toys.x.io", "Toy/x/ours") == told


@pytest.mark.parametrize("owner", ["ours", "agent", "agent-1", "worker-1", "gone", "made"])
def test_an_object_whose_owner_is_ours_or_goes_as_well_is_nobodys(toys: FakeApi, owner: str) -> None:
    put(toys, "Toy", "made", "y", version="x.io/v1", **owned_by(owner))
    assert lost(toys, "CustomResourceDefinition/toys.x.io", "Toy/x/ours") == []


def test_of_what_goes_with_a_persons_object_that_object_alone_is_told(toys: FakeApi) -> None:
    put(toys, "Namespace", "y", **label("toy"))
    put(toys, "Toy", "mine", "x", version="x.io/v1")
    put(toys, "Toy", "part", "x", version="x.io/v1", **owned_by("mine"))
    assert lost(toys, "CustomResourceDefinition/toys.x.io", "Toy/x/ours", "Namespace/y") == [
        "CustomResourceDefinition/toys.x.io: defines Toy/x/mine, which is not ours",
        "Namespace/y: holds Deployment/y/shop, which is not ours",
    ]


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
