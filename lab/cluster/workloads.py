"""When the cluster is ready: nodes, and the workloads that add-ons name."""

from __future__ import annotations

from collections.abc import Iterable

from lab.cluster.api import Api, Object
from lab.errors import FailedError
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
    """Raise `NotYet` unless the workload (kind/namespace/name) runs its newest version, or the job is done.

    A DaemonSet wants the nodes that its own selector and tolerations let it have. Raises `FailedError` for a
    job that has given up.
    """
    kind, namespace, name = reference.split("/")
    group = "batch" if kind == "job" else "apps"
    item = api.get(f"/apis/{group}/v1/namespaces/{namespace}/{kind}s/{name}")
    if item is None:
        raise NotYet(f"{reference}: does not exist")
    status = item.get("status", {})
    if kind == "job":
        _job_done(reference, item["spec"].get("completions", 1), status)
        return
    if kind == "daemonset":
        wanted = status.get("desiredNumberScheduled", 0)
        ready, fresh = status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    else:
        wanted = item["spec"].get("replicas", 1)
        ready, fresh = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    seen = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
    if not (seen and wanted and ready >= wanted and fresh >= wanted):
        raise NotYet(f"{reference}: {ready} of {wanted} ready, {fresh} of the newest version")


def _job_done(reference: str, wanted: int, status: Object) -> None:
    """Job conditions: Complete and Failed are final (batch/v1)."""
    held = {entry["type"]: entry for entry in status.get("conditions", []) if entry["status"] == "True"}
    if failed := held.get("Failed"):
        raise FailedError(
            f"{reference}: has failed: {failed.get('message') or failed.get('reason', 'no reason given')}",
            next_step=f"invoke kubectl -- -n {reference.split('/')[1]} logs job/{reference.split('/')[2]}",
        )
    if "Complete" not in held:
        raise NotYet(f"{reference}: {status.get('succeeded', 0)} of {wanted} done")
