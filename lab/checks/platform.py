"""What the platform runs: workloads and pods of its namespaces, and the images in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from lab.checks.cluster import Cluster
from lab.cluster.workloads import WORKLOADS, ended, failed, lacking
from lab.objects import Object

STEADY = timedelta(seconds=60)
"""So long a container must have run since its last restart."""
ENDED = ("Succeeded", "Failed")
"""Phases of a pod that runs no more."""


def lacking_workloads(cluster: Cluster, spaces: Iterable[str]) -> dict[str, str]:
    """Workloads of these namespaces that are not ready by the rule of their kind, and what they lack."""
    found = {}
    for space in spaces:
        for kind, version in WORKLOADS.items():
            items = cluster.items(f"/apis/{version}/namespaces/{space}/{kind.lower()}s")
            for item in newest(items) if kind == "Job" else items:
                name = f"{kind.lower()} {space}/{item['metadata']['name']}"
                if kind == "Job" and (why := failed(item)):
                    found[name] = f"has failed: {why}"
                elif why := lacking(kind, item):
                    found[name] = why
    return found


def newest(jobs: Iterable[Object]) -> list[Object]:
    """Jobs; of each CronJob only the newest that has ended: it tells how that stands, one may be at work."""
    alone: list[Object] = []
    last: dict[str, Object] = {}
    for job in jobs:
        clock = _cron(job)
        if not clock:
            alone.append(job)
        elif ended(job) and (clock not in last or _born(job) > _born(last[clock])):
            last[clock] = job
    return [*alone, *last.values()]


def unsteady_pods(pods: Iterable[Object], now: datetime) -> dict[str, str]:
    """Pods that do not run and stay, by namespace/name, and why.

    Pods of a job that have ended are left to the job's own state: one that failed is tried again.
    """
    found = {}
    for pod in pods:
        name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        phase = pod["status"].get("phase", "unknown")
        if phase in ENDED and "Job" in (owner["kind"] for owner in _owners(pod)):
            continue
        if phase != "Running":
            found[name] = phase
        for state in pod["status"].get("containerStatuses", []):
            if problem := restless(state, now):
                found[name] = f"{state['name']}: {problem}"
    return found


def restless(state: Mapping[str, Any], now: datetime) -> str:
    """Why a container's status is not the one of a container that runs and stays; "" when it is."""
    waiting, running = (state.get("state", {}).get(name) for name in ("waiting", "running"))
    if waiting:
        return f"{waiting.get('reason')}: {waiting.get('message', '')[:200]}"
    if not running:
        return "terminated"
    if not state["ready"]:
        return "not ready"
    if (state.get("lastState", {}).get("terminated") or {}).get("reason") == "OOMKilled":
        return "was killed for its memory"
    age = now - datetime.fromisoformat(running["startedAt"])
    if state["restartCount"] and age < STEADY:
        return f"restarted {age.total_seconds():.0f} s ago ({state['restartCount']} times in all)"
    return ""


def unpinned_images(pods: Iterable[Object], images: Mapping[str, str]) -> dict[str, str]:
    """Containers of any kind whose image is not the pinned one, by namespace/pod container, and the image.

    `images` are the lab's references by component; a container that is called as a component, as kubeadm
    calls all of its own, has the image of that one.
    """
    pinned, found = set(images.values()), {}
    for pod in pods:
        for container in _containers(pod):
            image, own = container["image"], images.get(container["name"])
            if image not in pinned or own not in (None, image):
                name = f"{pod['metadata']['namespace']}/{pod['metadata']['name']} {container['name']}"
                found[name] = image
    return found


def differing_contents(pods: Iterable[Object], architectures: Mapping[str, str]) -> dict[str, str]:
    """Images that are not the same content wherever they run: the nodes of each.

    By reference and architecture; `architectures` are by node. A tag does not say what a node has under it.
    """
    held: dict[tuple[str, str], dict[str, set[str]]] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName", "")
        asked = {container["name"]: container["image"] for container in _containers(pod)}
        for state in _states(pod):
            if state.get("imageID") and node in architectures:
                key = (asked[state["name"]], architectures[node])
                held.setdefault(key, {}).setdefault(state["imageID"], set()).add(node)
    return {
        f"{reference} ({arch})": "; ".join(
            f"{content.rpartition(':')[2][:12]} on {', '.join(sorted(nodes))}"
            for content, nodes in sorted(contents.items())
        )
        for (reference, arch), contents in held.items()
        if len(contents) > 1
    }


def _containers(pod: Object) -> Iterator[Object]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod["spec"].get(kind) or ()


def _states(pod: Object) -> Iterator[Object]:
    for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        yield from pod.get("status", {}).get(kind) or ()


def _owners(item: Object) -> list[Object]:
    owners: list[Object] = item["metadata"].get("ownerReferences") or []
    return owners


def _cron(job: Object) -> str:
    """The uid of the CronJob that started a job, "" for a job of its own."""
    return next((owner["uid"] for owner in _owners(job) if owner["kind"] == "CronJob"), "")


def _born(job: Object) -> str:
    return str(job["metadata"]["creationTimestamp"])
