"""What people would lose with objects that are removed: nothing of it goes without an explicit word."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from lab.cluster.api import Api
from lab.cluster.discovery import Item, resources
from lab.render.addons import CRD

VOLUMES = ("PersistentVolume", "PersistentVolumeClaim")
IN_EVERY_NAMESPACE = (("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default"))
"""Made by the controller manager in every namespace."""
TOKEN_OF = "kubernetes.io/service-account.name"
"""Annotation of a Secret that is a service account's token."""


@dataclass(frozen=True)
class Loss:
    """`item` goes, and with it `what`."""

    item: Item
    what: str

    def __str__(self) -> str:
        return f"{self.item.key}: {self.what}"


def losses(api: Api, going: Collection[Item], items: Collection[Item]) -> Iterator[Loss]:
    """What goes with `going` and is no add-on's to remove, of all living `items`. Changes nothing.

    Data are volumes and their claims, whoever made them; all that people have made in a namespace or of a
    kind that goes, or may have made where the kind cannot be listed; and volumes whose StorageClass goes,
    which nobody serves then.
    """
    uids = {item.uid for item in going}
    spaces = {item.key.name: item for item in going if item.key.kind == "Namespace"}
    kinds = {item.key.name: item for item in going if item.key.kind == CRD}
    for item in items:
        volume = item.key.kind in VOLUMES
        if item in going:
            if volume:
                yield Loss(item, "is data")
            continue
        space = spaces.get(item.key.namespace)
        kind = kinds.get(f"{item.resource.plural}.{item.resource.group}")
        if item.owners & uids and volume:
            owner = next(one for one in going if one.uid in item.owners)
            yield Loss(owner, f"{item.key} goes with it, which is data")
        elif space and (volume or _of_people(item)):
            yield Loss(space, f"holds {item.key}, which is not ours")
        elif kind and _of_people(item):
            yield Loss(kind, f"defines {item.key}, which is not ours")
    for name in kinds.keys() - (_served(api) if kinds else set()):
        yield Loss(kinds[name], "the API does not serve it, so nobody can tell what there is of it")
    classes = {item.key.name: item for item in going if item.key.kind == "StorageClass"}
    for held in api.items("/api/v1/persistentvolumes") if classes else ():
        served = classes.get(held["spec"].get("storageClassName", ""))
        if served:
            yield Loss(served, f"PersistentVolume/{held['metadata']['name']} is of this class")


def _served(api: Api) -> set[str]:
    return {f"{kind.plural}.{kind.group}" for kind in resources(api)}


def _of_people(item: Item) -> bool:
    """Whether somebody has made an object by hand, as far as its metadata tell."""
    annotations = item.meta.get("annotations") or {}
    return not (
        item.owners or (item.key.kind, item.key.name) in IN_EVERY_NAMESPACE or TOKEN_OF in annotations
    )
