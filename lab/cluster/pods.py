"""The pods of a workload, and why they are not Ready."""

from __future__ import annotations

from collections.abc import Mapping

from lab.cluster.api import Api
from lab.objects import Object, condition, is_ready

TOLD = 2
"""Pods of a workload of which it is told why they are not Ready; the others mostly say the same."""
LONGEST = 160
"""Characters of a message of the kubelet's or the scheduler's."""


def pods_of(api: Api, workload: Object) -> list[Object]:
    """The pods that a living workload's selector matches."""
    selector = workload["spec"].get("selector") or {}
    space = workload["metadata"].get("namespace")
    if not (selector and space):
        return []
    pods = api.items(f"/api/v1/namespaces/{space}/pods")
    return [pod for pod in pods if matches(selector, pod["metadata"].get("labels") or {})]


def matches(selector: Object, labels: Mapping[str, str]) -> bool:
    """Whether labels are as a selector asks (meta/v1 LabelSelector)."""
    exact = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return exact and all(_holds(entry, labels) for entry in selector.get("matchExpressions") or ())


def _holds(entry: Object, labels: Mapping[str, str]) -> bool:
    value = labels.get(entry["key"])
    if entry["operator"] in ("Exists", "DoesNotExist"):
        return (value is not None) is (entry["operator"] == "Exists")
    return (value in (entry.get("values") or ())) is (entry["operator"] == "In")


def unready(api: Api, workload: Object) -> str:
    """Which pods of a living workload are not Ready, and why; "" where all are, or there are none."""
    found = {pod["metadata"]["name"]: why_unready(pod) for pod in pods_of(api, workload)}
    said = [f"pod {name}: {why}" for name, why in sorted(found.items()) if why]
    more = [f"{len(said) - TOLD} more"] if len(said) > TOLD else []
    return "; ".join([*said[:TOLD], *more])


def why_unready(pod: Object) -> str:
    """Why a pod is not Ready, as the kubelet or the scheduler says; "" for one that is, or has ended well."""
    status = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return "is being removed"
    if is_ready(pod) or status.get("phase") == "Succeeded":
        return ""
    for state in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if said := _container(state):
            return f"{state['name']}: {said}"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return _short(scheduled.get("reason", "is not scheduled"), scheduled.get("message", ""))
    return _short(str(status.get("reason") or status.get("phase") or "unknown"), status.get("message", ""))


def _container(state: Object) -> str:
    """Why a container is not ready; "" for one that is, or has ended well."""
    if state.get("ready"):
        return ""
    told = state.get("state") or {}
    if waiting := told.get("waiting"):
        return _short(waiting.get("reason", "waiting"), waiting.get("message", ""))
    if ended := told.get("terminated"):
        code = ended.get("exitCode", 0)
        return _short(f"ended with exit code {code}", ended.get("message", "")) if code else ""
    return "is not ready" if "running" in told else ""


def _short(reason: str, message: str) -> str:
    line = " ".join(message.split())
    cut = f"{line[:LONGEST]}..." if len(line) > LONGEST else line
    return f"{reason}: {cut}" if cut else reason
