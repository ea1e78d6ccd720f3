"""Pods that are not what their workload's template says now.

A workload whose pods somebody must delete himself (updateStrategy OnDelete), one that is paused, a pod that
was edited or labelled into a workload: all is Ready, and what runs is older than what is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.verbs import becomes
from lab.checks.words import shown
from lab.objects import Object

PODS = ("Deployment", "StatefulSet", "DaemonSet")
"""Kinds that replace their pods when the template changes."""
ROLLING_SECONDS = 30
"""A rollout that has just begun ends; what is held back stays."""
_GROWN = ("volumes", "volumeMounts", "tolerations")
"""Lists of a pod to which service accounts and controllers add."""
_ADDED = ("resizePolicy",)
"""What the API gives a pod's container and no template's (Kubernetes 1.33, pkg/apis/core/v1/defaults.go)."""
_REPLACED = ("spec.affinity.nodeAffinity",)
"""Where the DaemonSet controller writes the one node (pkg/controller/daemon/util/daemonset_util.go)."""
_MISSING = object()


def are_of_the_newest_template(driver: Driver) -> None:
    """The pods of the platform's workloads have every field of their templates."""
    spaces = health.system_namespaces(driver.inventory)

    def look() -> list[str]:
        return [line for space in spaces for line in _in(driver, space)]

    becomes(
        "pods of an older template",
        look,
        lambda found: not found,
        within=ROLLING_SECONDS,
        expected="none",
        command="kubectl get pods -A --show-labels; kubectl rollout status KIND/NAME",
    )


def _in(driver: Driver, space: str) -> Iterator[str]:
    apps = f"/apis/apps/v1/namespaces/{space}"
    pods = driver.cluster.items(f"/api/v1/namespaces/{space}/pods")
    sets = driver.cluster.items(f"{apps}/replicasets")
    for kind in PODS:
        for item in driver.cluster.items(f"{apps}/{kind.lower()}s"):
            yield from older(kind, item, pods, sets)


def older(kind: str, item: Object, pods: Iterable[Object], sets: Iterable[Object] = ()) -> Iterator[str]:
    """Each field in which a pod of a workload is not as its template says: pod, node, field, both values.

    `sets` are the ReplicaSets, which stand between a Deployment and its pods.
    """
    owners = {item["metadata"]["uid"]}
    if kind == "Deployment":
        owners = {one["metadata"]["uid"] for one in sets if owners & _owners(one)}
    template = item["spec"]["template"]
    for pod in pods:
        if not owners & _owners(pod) or "deletionTimestamp" in pod["metadata"]:
            continue
        meta = pod["metadata"]
        for path, seen, said in _unlike(template, {"metadata": meta, "spec": pod["spec"]}):
            where = f"{meta['namespace']}/{meta['name']} on {pod['spec'].get('nodeName', 'no node')}"
            yield f"{where}: {path}: {_told(seen)}, the template of its {kind} says {_told(said)}"


def _owners(item: Object) -> set[str]:
    """The uids of those that an object is controlled by."""
    return {
        owner["uid"] for owner in item["metadata"].get("ownerReferences") or () if owner.get("controller")
    }


def _unlike(wanted: Any, held: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Parts of a template that a pod has otherwise; what the API and controllers add counts for nothing."""
    if path in _REPLACED or wanted is None:
        return
    if isinstance(wanted, Mapping) and isinstance(held, Mapping):
        for key, value in wanted.items():
            yield from _unlike(value, held.get(key, _MISSING), f"{path}.{key}" if path else key)
        if path.endswith("]") and "ontainers[" in path.rpartition(".")[2]:
            extra = held.keys() - wanted.keys() - {*_GROWN, *_ADDED}
            yield from ((f"{path}.{key}", held[key], _MISSING) for key in sorted(extra))
    elif isinstance(wanted, list) and isinstance(held, list):
        yield from _unlike_lists(wanted, held, path)
    elif wanted != held and wanted not in ({}, []):
        yield path, held, wanted


def _unlike_lists(wanted: list[Any], held: list[Any], path: str) -> Iterator[tuple[str, Any, Any]]:
    ours, theirs = _named(wanted), _named(held)
    grows = path.rpartition(".")[2] in _GROWN
    if not all(isinstance(item, Mapping) for item in (*wanted, *held)):
        if wanted != held:
            yield path, held, wanted
        return
    for index, value in enumerate(wanted):
        name = value.get("name", "")
        if name in theirs:
            yield from _unlike(value, theirs[name], f"{path}[name={name}]")
        elif not any(not list(_unlike(value, other)) for other in held):
            yield f"{path}[{index}]", _MISSING, value
    if not grows:
        extra = [name for name in theirs if name not in ours]
        yield from ((f"{path}[name={name}]", theirs[name], _MISSING) for name in extra)


def _named(items: list[Any]) -> dict[str, Any]:
    return {item["name"]: item for item in items if isinstance(item, Mapping) and "name" in item}


def _told(value: Any) -> str:
    return "nothing" if value is _MISSING else shown(value, 120)
