"""What people would lose with objects that are removed: nothing of it goes without an explicit word."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from lab.cluster import owned
from lab.cluster.api import Api
from lab.cluster.discovery import Item, resources
from lab.render.addon_objects import CRD

VOLUMES = ("PersistentVolume", "PersistentVolumeClaim")
IN_EVERY_NAMESPACE = (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
"""Made by the controller manager in every namespace."""
TOKEN_OF = "kubernetes.io/service-account.name"
"""Annotation of a Secret that is a service account's token."""
NODE = "Node"
"""An owner that is no person's: kubelets make nodes, and controllers hang an object of each on them."""


@dataclass(frozen=True)
class Loss:
    """`item` goes, and with it `what`: the object `lost`, where it is another one and known."""

    item: Item
    what: str
    lost: Item | None = None

    def __str__(self) -> str:
        return f"{self.item.key}: {self.what}"

    @property
    def begun(self) -> bool:
        """Whether the item is on its way out already, which nobody can take back."""
        return self.item.begun


def losses(api: Api, going: Collection[Item], items: Collection[Item]) -> Iterator[Loss]:
    """What goes with `going` and is no add-on's to remove, of all living `items`. Changes nothing.

    Data are volumes and their claims, whoever made them; all that people have made in a namespace or of a
    kind that goes, or may have made where the kind cannot be listed; and volumes whose StorageClass goes,
    which nobody serves then.
    """
    uids = {item.uid for item in going}
    spaces = {item.key.name: item for item in going if item.key.kind == "Namespace"}
    kinds = {item.key.name: item for item in going if item.key.kind == CRD}

    def goes(item: Item) -> bool:
        return item in going or item.key.namespace in spaces or _definition(item) in kinds

    stays = {item.uid: item for item in items if not goes(item)} if spaces or kinds else {}
    ours = owned.ours(stays.values())
    for item in items:
        volume = item.key.kind in VOLUMES
        if item in going:
            if volume:
                yield Loss(item, "is data")
            continue
        space = spaces.get(item.key.namespace)
        kind = kinds.get(_definition(item))
        if item.owners & uids and volume:
            owner = next(one for one in going if one.uid in item.owners)
            yield Loss(owner, f"{item.key} goes with it, which is data", item)
        elif space and (volume or _of_people(item, stays, ours)):
            yield Loss(space, f"holds {item.key}, which is not ours", item)
        elif kind and _of_people(item, stays, ours):
            yield Loss(kind, f"defines {item.key}, which is not ours", item)
    for name in kinds.keys() - (_served(api) if kinds else set()):
        yield Loss(kinds[name], "the API does not serve it, so nobody can tell what there is of it")
    classes = {item.key.name: item for item in going if item.key.kind == "StorageClass"}
    for held in api.items("/api/v1/persistentvolumes") if classes else ():
        served = classes.get(held["spec"].get("storageClassName", ""))
        if served:
            yield Loss(served, f"PersistentVolume/{held['metadata']['name']} is of this class")


def _served(api: Api) -> set[str]:
    return {f"{kind.plural}.{kind.group}" for kind in resources(api)}


def _definition(item: Item) -> str:
    """The name of the definition that an object's kind has, if it has one."""
    return f"{item.resource.plural}.{item.resource.group}"


def _of_people(item: Item, stays: Mapping[str, Item], ours: Collection[Item]) -> bool:
    """Whether somebody has made an object by hand, as far as its metadata tell.

    An owned object is of whom its owners are, followed to those that nobody owns; an owner that is not one of
    `stays` (by uid) is gone, or goes as well and is told itself.
    """
    annotations = item.meta.get("annotations") or {}
    if (item.key.kind, item.key.name) in IN_EVERY_NAMESPACE or TOKEN_OF in annotations:
        return False
    return not item.owners or any(top not in ours and top.key.kind != NODE for top in _tops(item, stays))


def _tops(item: Item, stays: Mapping[str, Item]) -> Iterator[Item]:
    """The owners of an object that stay and have no owner; of owners in a circle there are none."""
    seen, waiting = set[str](), [*item.owners]
    while waiting:
        owner = stays.get(uid := waiting.pop())
        if owner and uid not in seen:
            seen.add(uid)
            waiting += owner.owners
            if not owner.owners:
                yield owner
