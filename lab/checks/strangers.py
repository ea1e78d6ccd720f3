"""What stands in the platform's namespaces and was declared by nobody (P2-11)."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from lab.checks.declared import Declared, is_kubernetes, others
from lab.cluster import kubelets
from lab.cluster.data import IN_EVERY_NAMESPACE
from lab.cluster.discovery import Item, Resource
from lab.objects import Object

RBAC = "rbac.authorization.k8s.io"
BINDINGS = (
    Resource(RBAC, "v1", "RoleBinding", "rolebindings", True),
    Resource(RBAC, "v1", "ClusterRoleBinding", "clusterrolebindings", False),
)
ELSEWHERE = ("RoleBinding", "Secret")
"""Judged by rows of their own, P2-13 and P2-14."""
COMPARED = ("kubeadm-config", "kubelet-config")
"""ConfigMaps of kubeadm's whose contents are compared, whoever has written them (P2-04, P2-07)."""
FILLED = ("PersistentVolumeClaim",)
"""Made by others, and written by Kubernetes as well: its writer says nothing of who made it."""
DOES = {
    "NetworkPolicy": "decides whom pods of the platform reach, and who reaches them",
    "ResourceQuota": "may keep pods of the platform from starting anew",
    "LimitRange": "changes or refuses pods of the platform when they start anew",
    "PodDisruptionBudget": "may keep pods of the platform where they are when a machine is drained",
    "HorizontalPodAutoscaler": "may change how many pods of the platform there are",
    "Service": "takes a name, and may take clients, of the platform",
    "ServiceAccount": "pods may run under it among the platform's own",
    "Role": "its rights are over the platform's objects",
}
"""What an object can do by its kind."""
RUNS = (
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "DaemonSet",
    "StatefulSet",
    "Job",
    "CronJob",
)


def in_our_places(declared: Declared) -> list[str]:
    """A line for each object in the platform's namespaces that no add-on, no kubeadm and no program of
    Kubernetes' has there, and that goes with no other object."""
    items = declared.living()
    uids = {item.uid for item in items}
    accounts = {*_accounts(declared), "default"}
    strange = [
        item
        for item in items
        if item.key.namespace in declared.spaces
        and item.key.kind not in ELSEWHERE
        and not item.owners & uids
        and declared.is_strange(item)
    ]
    found = [f"{item.key}: {_does(item)}" for item in strange if not _is_known(item, accounts)]
    return found + [
        f"{item.key}: is of Kubernetes' own, and was written by {others(item.meta)}"
        for item in strange
        if item.key.kind == "ConfigMap" and item.key.name not in COMPARED and others(item.meta)
        if _is_known(item, accounts)
    ]


def _is_known(item: Item, accounts: Collection[str]) -> bool:
    if item.key.kind == "ServiceAccount":
        # the API server notes no writer of what has a name alone
        return item.key.name in accounts
    named = (item.key.kind, item.key.name) in IN_EVERY_NAMESPACE or item.path == kubelets.CONFIGMAP
    return named or (item.key.kind not in FILLED and is_kubernetes(item.meta))


def _accounts(declared: Declared) -> Iterator[str]:
    """Service accounts of Kubernetes' controllers: its own bindings name them."""
    for kind in BINDINGS:
        for item in declared.items(kind):
            if is_kubernetes(item["metadata"]):
                yield from (one["name"] for one in _subjects(item) if one["kind"] == "ServiceAccount")


def _subjects(binding: Object) -> list[Object]:
    subjects: list[Object] = binding.get("subjects") or []
    return subjects


def _does(item: Item) -> str:
    kind = item.key.kind
    return DOES.get(kind) or ("runs among the platform's own" if kind in RUNS else "nobody declared it there")
