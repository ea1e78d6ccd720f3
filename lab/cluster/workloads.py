"""When the cluster is ready: nodes, and the workloads that add-ons name."""

from __future__ import annotations

from collections.abc import Iterable

from lab.cluster.api import Api, Object
from lab.waits import NotYet


def nodes_ready(api: Api, wanted: Iterable[str]) -> None:
    """Raise `NotYet` with the names that are missing or not Ready."""
    states = {item["metadata"]["name"]: is_ready(item) for item in api.items("/api/v1/nodes")}
    missing = [name for name in wanted if name not in states]
    waiting = [name for name in wanted if name in states and not states[name]]
    if missing or waiting:
        said = [f"not joined: {', '.join(missing)}"] if missing else []
        said += [f"not Ready: {', '.join(waiting)}"] if waiting else []
        raise NotYet("; ".join(said))


def is_ready(node: Object) -> bool:
    """Whether a node's Ready condition is True."""
    conditions = node.get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def workload_ready(api: Api, reference: str) -> None:
    """Raise `NotYet` unless the workload (kind/namespace/name) runs its newest version everywhere."""
    kind, namespace, name = reference.split("/")
    item = api.get(f"/apis/apps/v1/namespaces/{namespace}/{kind}s/{name}")
    if item is None:
        raise NotYet(f"{reference}: does not exist")
    status = item.get("status", {})
    if kind == "daemonset":
        wanted = status.get("desiredNumberScheduled", 0)
        ready, fresh = status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    else:
        wanted = item["spec"]["replicas"]
        ready, fresh = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    seen = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
    if not (seen and wanted and ready >= wanted and fresh >= wanted):
        raise NotYet(f"{reference}: {ready} of {wanted} ready, {fresh} of the newest version")
