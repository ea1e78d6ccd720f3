"""Which living objects are the platform's, and of which add-on: the one rule, used by plan, build and checks.

An object is ours, and of add-on NAME, when
1. no other object owns it (`ownerReferences`): what controllers make goes with what it was made for; and
2. it has the label `plumbline.local/addon: NAME`, which is put on every object that we apply whole; or,
   without that label, the API server notes in its `managedFields` that `plumbline` has applied it, and it is
   not in kube-system. An older version applied it then, and it is of the add-on in whose namespace it is (as
   the namespace's label or the add-on's folder says), else of `OLDER`.

docs/adr/0030 says why, and what was left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from lab.addons import addons
from lab.addons.mark import LABEL, NEEDS
from lab.addons.model import AddOn
from lab.cluster.api import FIELD_MANAGER
from lab.cluster.discovery import Item, ObjectKey
from lab.errors import FailedError
from lab.inventory.addon_sections import outside
from lab.inventory.models import Inventory
from lab.objects import Object

OLDER = "unlabelled"
"""Stands for the add-on of an object that an older version applied, where nothing tells it."""
NAMESPACE = "Namespace"
KUBEADMS = "kube-system"
"""Where we have changed what kubeadm made (CoreDNS, kube-proxy, the kubelets' settings), and older versions
have applied nothing whole."""


def named(objects: Mapping[AddOn, Sequence[Object]], inventory: Inventory) -> frozenset[ObjectKey]:
    """Everything that the inventory names: the objects of its add-ons, their secrets and certificates.

    A namespace in which there is such an object is named with it. Raises `FailedError` for an object of two
    add-ons: each would take it from the other, whenever it is applied.
    """
    found: dict[ObjectKey, str] = {}
    for addon, items in objects.items():
        secrets = [ObjectKey("", "Secret", item.namespace, item.name) for item in addon.secrets]
        secrets += [ObjectKey("", "Secret", item.namespace, item.name) for item in addon.certificates]
        secrets += [ObjectKey("", "Secret", item.namespace, item.name) for item in addon.webhook_certificates]
        secrets += [ObjectKey("", "Secret", item.namespace, item.name) for item in outside(inventory, addon)]
        for key in (*map(_key, items), *secrets):
            if found.setdefault(key, addon.name) != addon.name:
                raise FailedError(
                    f"{key}: add-on {addon.name} and add-on {found[key]} both have this object",
                    next_step="leave it to one of them, and write that one into the other's `needs`",
                )
    return frozenset(found) | {ObjectKey("", NAMESPACE, "", key.namespace) for key in found if key.namespace}


def ours(items: Iterable[Item]) -> dict[Item, str]:
    """The objects that are ours, with the name of their add-on."""
    everything = tuple(items)
    homes = {space: addon.name for addon in addons() for space in addon.namespaces}
    homes |= {item.key.name: _labelled(item) for item in everything if _is_space(item) and _labelled(item)}
    found = {}
    for item in everything:
        if item.owners:
            continue
        if _labelled(item):
            found[item] = _labelled(item)
        elif _applied_by_us(item):
            found[item] = homes.get(item.key.name if _is_space(item) else item.key.namespace, OLDER)
    return found


def left_over(items: Iterable[Item], wanted: frozenset[ObjectKey]) -> dict[Item, str]:
    """What is ours and not wanted (`named`), with the name of its add-on."""
    # an object of the cluster may be written down with a namespace, which the server ignores
    names = wanted | {ObjectKey(key.group, key.kind, "", key.name) for key in wanted}
    return {item: addon for item, addon in ours(items).items() if item.key not in names}


def needs_of(items: Iterable[Item]) -> frozenset[str]:
    """The add-ons that an add-on needs, as its living objects say."""
    said = ((item.meta.get("annotations") or {}).get(NEEDS, "") for item in items)
    return frozenset(name for text in said for name in text.split(",") if name)


def _key(item: Object) -> ObjectKey:
    group, slash, _ = item["apiVersion"].partition("/")
    meta = item["metadata"]
    return ObjectKey(group if slash else "", item["kind"], meta.get("namespace", ""), meta["name"])


def _is_space(item: Item) -> bool:
    return item.key.kind == NAMESPACE


def _labelled(item: Item) -> str:
    return str((item.meta.get("labels") or {}).get(LABEL, ""))


def _applied_by_us(item: Item) -> bool:
    entries = item.meta.get("managedFields") or ()
    return item.key.namespace != KUBEADMS and any(
        entry.get("manager") == FIELD_MANAGER and entry.get("operation") == "Apply" for entry in entries
    )
