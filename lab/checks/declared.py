"""What is declared in the cluster, and whose hand the rest is: what rows P2-11 to P2-16 judge by.

Declared are the objects of the lab's add-ons and those that kubeadm's dry run prints. What Kubernetes and
kubeadm make beside them is known by its writers: the API server notes in `managedFields` which program has
written which field (KEP-555).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from lab.addons import selected
from lab.addons.mark import LABEL as OURS
from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.rendered import SETTLE_SECONDS, Rendered
from lab.checks.verbs import becomes
from lab.checks.workspace import LABEL as OF_CHECKS
from lab.cluster.api import FIELD_MANAGER
from lab.cluster.discovery import Item, ObjectKey, Resource, living
from lab.cluster.owned import named
from lab.objects import Object
from lab.render.addon_objects import CRD

KUBERNETES = ("kube-node-lease", "kube-public", "kube-system")
"""Namespaces that every API server makes (pkg/controlplane/controller/systemnamespaces)."""
OWN = frozenset(
    {
        *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubeadm"),
        # part of kube-controller-manager, and of kube-apiserver
        *("clusterrole-aggregation-controller", "api-priority-and-fairness-config-producer-v1"),
    }
)
"""Names under which the programs of the control plane, kubelets and kubeadm write."""
SHOW = "kubectl get KIND NAME -n NAMESPACE -o yaml --show-managed-fields"
NAMESPACES = Resource("", "v1", "Namespace", "namespaces", False)


def writers(meta: Object) -> dict[str, tuple[str, ...]]:
    """Who has written fields of an object itself, beside metadata and status: the fields by writer."""
    found: dict[str, set[str]] = {}
    for entry in meta.get("managedFields") or ():
        fields = {key.removeprefix("f:") for key in entry.get("fieldsV1") or () if key.startswith("f:")}
        if not entry.get("subresource") and fields - {"metadata", "status"}:
            found.setdefault(entry["manager"], set()).update(fields - {"metadata", "status"})
    return {manager: tuple(sorted(fields)) for manager, fields in found.items()}


def others(meta: Object) -> str:
    """Who else than Kubernetes' and our own programs has written what of an object; "" for nobody."""
    strange = {who: what for who, what in writers(meta).items() if who not in OWN | {FIELD_MANAGER}}
    return "; ".join(f"{who} ({', '.join(what)})" for who, what in strange.items())


def is_kubernetes(meta: Object) -> bool:
    """Whether a program of Kubernetes' has made an object: it has written of it, whoever did so later.

    Its labels count as well: who edits a list that is one value, as rules are, is its only writer then.
    """
    entries = meta.get("managedFields") or ()
    return any(entry["manager"] in OWN and not entry.get("subresource") for entry in entries)


def uid(item: Object) -> str:
    """By which an object is told apart from another of the same name."""
    return str(item["metadata"].get("uid", ""))


@dataclass(frozen=True)
class Declared:
    """What the lab declares in its cluster, and lists of what is there."""

    driver: Driver
    rendered: Rendered

    @cached_property
    def objects(self) -> list[Object]:
        """Every object of an add-on or of kubeadm's, as rendered."""
        of_addons = [item for items in self.rendered.of_addons.values() for item in items]
        return [*of_addons, *self.rendered.of_kubeadm]

    @cached_property
    def keys(self) -> frozenset[ObjectKey]:
        """Their names, with secrets, certificates and namespaces of add-ons."""
        inventory = self.driver.inventory
        of_addons = {addon: self.rendered.of_addons[addon.name] for addon in selected(inventory)}
        found = named(of_addons, inventory)
        keys = {_key(item) for item in self.rendered.of_kubeadm} | found
        # an object of the cluster may be rendered with a namespace, which the server ignores
        return frozenset(keys | {ObjectKey(key.group, key.kind, "", key.name) for key in keys})

    @cached_property
    def spaces(self) -> tuple[str, ...]:
        """The platform's namespaces: Kubernetes' and those of the lab's add-ons."""
        return tuple(sorted({*KUBERNETES, *health.system_namespaces(self.driver.inventory)}))

    @cached_property
    def definitions(self) -> list[tuple[str, str]]:
        """Group and plural of each kind that add-ons define: a definition is called PLURAL.GROUP."""
        names = (item["metadata"]["name"].partition(".") for item in self.objects if item["kind"] == CRD)
        return [(group, plural) for plural, _, group in names]

    @cached_property
    def groups(self) -> frozenset[str]:
        """API groups of kinds that add-ons define."""
        return frozenset(group for group, _ in self.definitions)

    def items(self, kind: Resource, space: str = "") -> list[Object]:
        """The objects of a kind, of the whole cluster or of one namespace."""
        inside = f"/namespaces/{space}" if space else ""
        return self.driver.cluster.items(f"{kind.root}{inside}/{kind.plural}")

    def strange(self, kind: Resource, spaces: Iterable[str] = ("",)) -> Iterator[tuple[str, Object]]:
        """Objects of a kind that nobody declared, with their names; not what is left of ours (P2-10).

        What checks have made is theirs to remove, whenever they run again.
        """
        for space in spaces:
            for item in self.items(kind, space):
                meta = item["metadata"]
                key = ObjectKey(kind.group, kind.kind, meta.get("namespace", ""), meta["name"])
                if key not in self.keys and not _is_ours(meta):
                    yield str(key), item

    def living(self) -> tuple[Item, ...]:
        """The metadata of all objects of the cluster."""
        return self.driver.cluster.look(living)

    def is_strange(self, item: Item) -> bool:
        """Whether nobody declared a living object, as `strange` tells it of whole ones."""
        return item.key not in self.keys and not _is_ours(item.meta)

    def of_checks(self) -> frozenset[str]:
        """Namespaces of this suite's own checks."""
        spaces = (item["metadata"] for item in self.items(NAMESPACES))
        return frozenset(meta["name"] for meta in spaces if OF_CHECKS in (meta.get("labels") or {}))


def nobody(subject: str, look: Callable[[], list[str]], *, command: str = SHOW) -> None:
    """There is no stranger. Raises `Mismatch` with a line for each; a controller may need some seconds."""
    becomes(subject, look, lambda found: not found, within=SETTLE_SECONDS, expected="none", command=command)


def _key(item: Object) -> ObjectKey:
    group, slash, _ = item["apiVersion"].partition("/")
    meta = item["metadata"]
    return ObjectKey(group if slash else "", item["kind"], meta.get("namespace", ""), meta["name"])


def _is_ours(meta: Object) -> bool:
    return not {OURS, OF_CHECKS}.isdisjoint(meta.get("labels") or {})
