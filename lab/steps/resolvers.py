"""Pods with their node's DNS as steps: those that have an older copy of it are replaced one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from lab.checks.pod_resolvers import OldPod, old_pods
from lab.cluster.api import ApiError, Unavailable, patiently
from lab.cluster.workloads import WORKLOADS, ready
from lab.errors import PlumblineError
from lab.hosts.converge import HostFacts, look
from lab.objects import Object
from lab.steps.context import Context, LabFacts
from lab.steps.engine import Step
from lab.steps.services import READY_SECONDS
from lab.waits import NotYet, wait_for


def renewing(context: Context, facts: LabFacts, needs: Iterable[str]) -> list[Step]:
    """One step that replaces such pods, if there are any."""
    try:
        found = tuple(_old(context, facts.hosts))
    except PlumblineError:
        return []  # no API answers: the comparison of add-ons tells it
    if not found:
        return []
    will = tuple(f"replace {pod}" for pod in found if pod.controlled)
    asks = tuple(
        f"{pod}; delete it and make it again: nobody else does" for pod in found if not pod.controlled
    )
    run, keys = partial(renew, context), frozenset({"api", *needs})
    return [Step("resolvers", "", "pods with the node's DNS", keys, run, will=will, asks=asks)]


def _old(context: Context, hosts: Mapping[str, HostFacts]) -> Iterator[OldPod]:
    inventory = context.lab.inventory
    copies = {name: hosts[name].resolvers for name in inventory.nodes if name in hosts}

    def pod(path: str) -> Object | None:
        return patiently(path.rpartition("/")[2], lambda: context.api.get(path))

    return old_pods(inventory, context.bundles, copies, pod)


def renew(context: Context) -> tuple[bool, str]:
    """Delete such pods one by one; the next goes when the workload of the last is ready again."""
    lost = {key.partition(":")[2] for key in context.engine.lost}
    nodes = [name for name in context.lab.inventory.nodes if name not in lost]
    hosts = {name: look(context.lab.ssh, context.bundles[name]) for name in nodes}
    found = [pod for pod in _old(context, hosts) if pod.controlled]
    note = context.noting("resolvers")
    for pod in found:
        note(pod.key)
        patiently(f"Pod {pod.key} replaced", partial(context.api.delete, pod.path))
        wait_for(
            f"replacement of {pod.key}",
            partial(_replaced, context, pod),
            seconds=READY_SECONDS,
            interval=0.5,
            next_step="invoke status",
        )
    return bool(found), f"{len(found)} pods" if found else ""


def _replaced(context: Context, pod: OldPod) -> None:
    context.check()
    try:
        living = context.api.get(pod.path)
        if living and living["metadata"].get("uid") == pod.item["metadata"].get("uid"):
            raise NotYet("is still ending")
        for owner in _workloads(context, pod.item):
            ready(context.api, owner)
    except (ApiError, Unavailable) as error:
        raise NotYet(error.message) from error


def _workloads(context: Context, item: Object) -> Iterator[Object]:
    """What makes a pod again: a DaemonSet or StatefulSet, or the Deployment behind a ReplicaSet."""
    space = item["metadata"]["namespace"]
    for owner in item["metadata"].get("ownerReferences") or ():
        if owner["kind"] == "ReplicaSet":
            path = f"/apis/apps/v1/namespaces/{space}/replicasets/{owner['name']}"
            behind = context.api.get(path)
            yield from _workloads(context, behind) if behind else ()
        elif owner["kind"] in WORKLOADS:
            meta = {"namespace": space, "name": owner["name"]}
            yield {"apiVersion": WORKLOADS[owner["kind"]], "kind": owner["kind"], "metadata": meta}
