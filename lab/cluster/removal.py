"""Removing objects in an order in which nothing blocks, and waiting until they are gone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from itertools import groupby

from lab.cluster.api import Api, ApiError, Unavailable, patiently
from lab.cluster.discovery import Item
from lab.errors import FailedError
from lab.objects import Object
from lab.render.addon_objects import CRD
from lab.render.addons import WEBHOOKS
from lab.waits import NotYet, wait_for

GONE_SECONDS = 300
"""As long as a workload's pods may take to end (their grace periods), and a namespace to empty."""
_GOING = "is being removed"
WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "ReplicaSet", "Pod")


def stages(going: Iterable[Item], items: Iterable[Item]) -> Iterator[list[Item]]:
    """Objects in the order in which they are removed, of all living `items`; a stage after the one before.

    Webhooks and aggregated APIs first: nobody may be left who is asked about the rest and does not serve.
    Then objects of kinds that definitions have introduced, while their controllers still run and can finish
    what their finalizers ask for; workloads; all else; definitions; namespaces.
    """
    defined = {item.key.name for item in items if item.key.kind == CRD}

    def rank(item: Item) -> int:
        kind = item.key.kind
        if kind in (*WEBHOOKS, "APIService"):
            return 0
        if f"{item.resource.plural}.{item.resource.group}" in defined:
            return 1
        return {**dict.fromkeys(WORKLOADS, 2), CRD: 4, "Namespace": 5}.get(kind, 3)

    for _, found in groupby(sorted(going, key=lambda item: (rank(item), str(item.key))), rank):
        yield list(found)


def remove(api: Api, going: Collection[Item], items: Iterable[Item], note: Callable[[str], None]) -> None:
    """Remove objects, stage by stage, and wait until each is gone.

    An object of the same name that was made since is not removed (its uid is another). Raises `FailedError`
    for that, `DeadlineError` with the finalizers for an object that does not go.
    """
    for stage in stages(going, items):
        for item in stage:
            patiently(f"removal of {item.key}", partial(_delete, api, item))
        for item in stage:
            wait_for(
                f"removal of {item.key}",
                partial(_gone, api, item, note),
                seconds=GONE_SECONDS,
                interval=0.5,
                next_step=f"invoke kubectl -- get {item.resource.plural} -A -o yaml; invoke build goes on",
            )


def _delete(api: Api, item: Item) -> None:
    # a workload stays until its pods are gone; for all else nobody waits for the garbage collector, which
    # comes to know a new kind after half a minute only
    options = deletion({"metadata": {"uid": item.uid}}, pods=item.key.kind in WORKLOADS)
    try:
        api.delete(item.path, options)
    except ApiError as error:
        if error.status == 409:
            raise FailedError(
                f"{item.key}: is another object than the one that was to be removed; it is left alone",
                next_step="invoke plan, then invoke build again: they decide by what they find",
            ) from error
        raise


def deletion(live: Object, *, pods: bool) -> Object:
    """DeleteOptions (meta/v1) for this very object; with `pods` it stays until what it owns is gone."""
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Foreground" if pods else "Background",
        "preconditions": {"uid": live["metadata"].get("uid", "")},
    }


def removed(live: Object) -> str:
    """That an object is on its way out, which nobody can take back, and why it is still there; else ""."""
    if "deletionTimestamp" not in live["metadata"]:
        return ""
    said = _state(live)
    return said if said == _GOING else f"{_GOING}: {said}"


def _gone(api: Api, item: Item, note: Callable[[str], None]) -> None:
    try:
        live = api.get(item.path)
    except (ApiError, Unavailable) as error:
        note(error.message)
        raise NotYet(error.message) from error
    if live is None or live["metadata"].get("uid", "") != item.uid:
        return
    last = _state(live)
    note(f"{item.key}: {last}")
    raise NotYet(last)


def _state(live: Object) -> str:
    """Why an object is still there: finalizers, and what a namespace says of its content."""
    meta = live["metadata"]
    said = [] if "deletionTimestamp" in meta else ["is not being removed"]
    finalizers = [*(meta.get("finalizers") or ()), *(live.get("spec", {}).get("finalizers") or ())]
    said += [f"finalizers: {', '.join(finalizers)}"] if finalizers else []
    conditions = live.get("status", {}).get("conditions") or ()
    if live.get("kind") == "Namespace":
        said += [entry.get("message", entry["type"]) for entry in conditions if entry["status"] == "True"]
    return "; ".join(said) or _GOING
