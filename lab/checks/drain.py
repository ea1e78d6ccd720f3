"""Draining a node as `kubectl drain` does: no new pods, then evictions that keep every disruption budget."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused, becomes
from lab.objects import Object

SECONDS = 120.0
"""Time for all pods of a node to leave."""


@contextmanager
def drained(driver: Driver, node: str) -> Iterator[None]:
    """The node is empty, but for what belongs to every node, while the block runs."""
    path = f"/api/v1/nodes/{node}"
    driver.cluster.request("PATCH", path, {"spec": {"unschedulable": True}})
    try:
        becomes(
            f"pods on {node}",
            lambda: _evict(driver, node),
            lambda left: not left,
            within=SECONDS,
            expected="none but those of every node",
            command=f"kubectl get pods -A -o wide --field-selector spec.nodeName={node}",
        )
        yield
    finally:
        driver.cluster.request("PATCH", path, {"spec": {"unschedulable": None}})


def _evict(driver: Driver, node: str) -> list[str]:
    """Ask for the eviction of every pod that is still there; their names."""
    left = []
    for pod in driver.cluster.items(f"/api/v1/pods?fieldSelector=spec.nodeName%3D{node}"):
        meta = pod["metadata"]
        if _stays(pod):
            continue
        left.append(f"{meta['namespace']}/{meta['name']}")
        if "deletionTimestamp" not in meta:
            eviction = {
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
            }
            try:
                driver.cluster.create(
                    f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", eviction
                )
            except (Refused, CouldNotTell):
                # 429 while a budget would be broken, 404 when it has just gone: the next look asks again
                continue
    return left


def _stays(pod: Object) -> bool:
    """Pods of a DaemonSet, the kubelet's own, and those that have ended."""
    owners = {item["kind"] for item in pod["metadata"].get("ownerReferences", [])}
    return bool(owners & {"DaemonSet", "Node"}) or pod["status"].get("phase") in ("Succeeded", "Failed")
