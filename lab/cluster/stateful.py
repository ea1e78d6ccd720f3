"""StatefulSets whose newest version does not come by itself: pods that stand in its way are replaced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import yaml

from lab.cluster.api import Api, ApiError, patiently
from lab.cluster.apply import ObjectChange
from lab.cluster.pods import pods_of
from lab.cluster.removal import deletion
from lab.objects import Object, is_ready, title
from lab.waits import NotYet, wait_for

STATEFUL_SET = "StatefulSet"
SEEN_SECONDS = 60
"""For the controller to look at a StatefulSet that was changed."""


def replacements(api: Api, item: Object, changes: Sequence[ObjectChange]) -> list[ObjectChange]:
    """The pods that applying an object will replace, given what it `changes`. Changes nothing."""
    if item["kind"] != STATEFUL_SET:
        return []
    live = api.get(api.path(item))
    if live is None:
        return []
    renewed = any(_renews(change) for change in changes if change.name == title(item))
    why = "which is not Ready: the newest version would wait for it"
    return [
        ObjectChange(_name(pod), "", "", why) for pod in in_the_way(live, pods_of(api, live), changes=renewed)
    ]


def replace_pods(api: Api, item: Object, note: Callable[[str], None]) -> int:
    """Replace the pods of an applied object that stand in the way; how many.

    Raises `DeadlineError` while the controller does not look at the object.
    """
    if item["kind"] != STATEFUL_SET:
        return 0

    def seen() -> list[Object]:
        live = api.get(api.path(item))
        if live is None:
            return []
        pods = [pod for pod in pods_of(api, live) if not is_ready(pod)]
        observed = live.get("status", {}).get("observedGeneration", 0)
        if pods and observed < live["metadata"].get("generation", 0):
            state = "its controller has not seen its newest version"
            note(state)
            raise NotYet(state)
        return in_the_way(live, pods, changes=False)

    subject = f"pods of {title(item)}"
    look = partial(patiently, subject, seen)
    found = wait_for(subject, look, seconds=SEEN_SECONDS, interval=0.5, next_step="invoke status")
    for pod in found:
        patiently(f"removal of {_name(pod)}", partial(take_away, api, pod))
    return len(found)


def take_away(api: Api, pod: Object) -> None:
    """Delete a pod, whose workload then makes a new one; another one of its name stays."""
    meta = pod["metadata"]
    try:
        api.delete(f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", deletion(pod, pods=False))
    except ApiError as error:
        if error.status != 409:  # another pod has its name by now: it has gone already
            raise


def _renews(change: ObjectChange) -> bool:
    """Whether a change is one of the pods' template, of which the controller makes a version."""
    before, after = (yaml.safe_load(text) or {} for text in (change.before, change.after))
    return bool(before) and before["spec"].get("template") != after["spec"].get("template")


def _name(pod: Object) -> str:
    return f"Pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def in_the_way(workload: Object, pods: Sequence[Object], *, changes: bool) -> list[Object]:
    """Pods for which their StatefulSet waits before it replaces them: for ever, where nothing heals them.

    Pods come and go one by one, each when the one before is Ready; a pod of an older version that is not
    Ready ends that (Kubernetes' documentation of StatefulSets, "Forced rollback"). `changes`: the template is
    about to change, so any version of now is an older one. Pods that are made all at once (Parallel) are
    replaced by their controller; those that somebody must delete himself (OnDelete), and those below the
    partition, keep their version.
    """
    spec, status = workload["spec"], workload.get("status", {})
    strategy = spec.get("updateStrategy") or {}
    if workload.get("kind") != STATEFUL_SET or strategy.get("type") == "OnDelete":
        return []
    if spec.get("podManagementPolicy") == "Parallel":
        return []
    first = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    newest = status.get("updateRevision")
    return [
        pod
        for pod in pods
        if not is_ready(pod)
        and "deletionTimestamp" not in pod["metadata"]
        and _owned(workload, pod)
        and int(pod["metadata"]["name"].rpartition("-")[2]) >= first
        and (changes or (newest and _version(pod) != newest))
    ]


def _owned(workload: Object, pod: Object) -> bool:
    """Whether it is the workload's own, and not another one with the same labels."""
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == workload["metadata"].get("uid") for owner in owners)


def _version(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get("controller-revision-hash", ""))
