"""When the cluster is ready: nodes, and every kind of object that has a state, each by its own rule.

The build waits by these rules, and the checks judge by them.
"""

from __future__ import annotations

from collections.abc import Iterable

from lab.cluster import pods, webhooks
from lab.cluster.api import Api
from lab.errors import FailedError
from lab.objects import Object, is_ready
from lab.waits import NotYet

CRD = "CustomResourceDefinition"
WORKLOADS = {
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "DaemonSet": "apps/v1",
    "Job": "batch/v1",
}
"""Kinds that run pods until they are as many as wanted, or done, with their API."""
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")
KINDS = (*WORKLOADS, CRD, *WEBHOOKS)
"""Kinds that have a rule."""


def nodes_ready(api: Api, wanted: Iterable[str]) -> None:
    """Raise `NotYet` with the names that are missing or not Ready."""
    states = {item["metadata"]["name"]: is_ready(item) for item in api.items("/api/v1/nodes")}
    missing = [name for name in wanted if name not in states]
    waiting = [name for name in wanted if name in states and not states[name]]
    if missing or waiting:
        said = [f"not joined: {', '.join(missing)}"] if missing else []
        said += [f"not Ready: {', '.join(waiting)}"] if waiting else []
        raise NotYet("; ".join(said))


def named(reference: str) -> Object:
    """The object that kind/namespace/name of an addon.yaml means: its API, kind and name, no more."""
    word, namespace, name = reference.split("/")
    kind = next(kind for kind in WORKLOADS if kind.lower() == word)
    meta = {"namespace": namespace, "name": name}
    return {"apiVersion": WORKLOADS[kind], "kind": kind, "metadata": meta}


def ready(api: Api, item: Object) -> None:
    """Raise `NotYet` unless the living object of this kind and name is ready by the rule of its kind.

    It says of a workload why its pods are not Ready.
    Raises `FailedError` for a job that has given up, which no waiting helps.
    """
    kind, meta = item["kind"], item["metadata"]
    name = "/".join(filter(None, (kind.lower(), meta.get("namespace", ""), meta["name"])))
    living = api.get(api.path(item))
    if living is None:
        raise NotYet(f"{name}: does not exist")
    if kind == "Job" and (why := failed(living)):
        ours = f"invoke kubectl -- -n {meta['namespace']}"
        raise FailedError(
            f"{name}: has failed: {why}",
            next_step=f"{ours} logs job/{meta['name']}; once its cause is mended: "
            f"{ours} delete job/{meta['name']}, then invoke build",
        )
    if why := lacking(kind, living):
        held_up = pods.unready(api, living) if kind in WORKLOADS else ""
        raise NotYet(f"{name}: {why}{'; ' * bool(held_up)}{held_up}")
    if silent := webhooks.unanswered(api, living):
        webhook, why = next(iter(silent.items()))
        more = f" (and {len(silent) - 1} more of its webhooks)" if len(silent) > 1 else ""
        raise NotYet(f"{name}: {webhook}: {why}{more}")


def stands(api: Api, living: Object) -> bool:
    """Whether an object of a kind with a rule is ready; one whose webhooks nobody can ask is not."""
    kind = living["kind"]
    if kind not in KINDS or lacking(kind, living):
        return False
    try:
        return not webhooks.unanswered(api, living)
    except FailedError:
        return False


def lacking(kind: str, item: Object) -> str:
    """What an object of this kind lacks to be ready, "" when it is ready or its kind has no rule.

    A Deployment or StatefulSet runs all its replicas in the newest version; a DaemonSet one pod on each node
    that its own selector and tolerations let it have, which the API tells as desiredNumberScheduled; a Job is
    complete; a CustomResourceDefinition is served (Established).
    """
    if kind == "Job":
        done = item.get("status", {}).get("succeeded", 0)
        return "" if "Complete" in _held(item) else f"{done} of {item['spec'].get('completions', 1)} done"
    if kind == CRD:
        return "" if "Established" in _held(item) else f"is not served: {_refusal(item) or 'not Established'}"
    return _lacks_pods(kind, item) if kind in WORKLOADS else ""


def ended(job: Object) -> bool:
    """Whether a Job is at work no more."""
    return bool({"Complete", "Failed"} & _held(job).keys())


def failed(job: Object) -> str:
    """Why a Job has given up, "" when it has not. Conditions Complete and Failed are final (batch/v1)."""
    entry = _held(job).get("Failed")
    return str(entry.get("message") or entry.get("reason") or "no reason given") if entry else ""


def _lacks_pods(kind: str, item: Object) -> str:
    spec, status = item["spec"], item.get("status", {})
    strategy = spec.get("updateStrategy") or {}
    if kind == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        running, fresh = status.get("numberReady", 0), status.get("updatedNumberScheduled", 0)
    else:
        wanted = spec.get("replicas", 1)
        running, fresh = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    # pods below a StatefulSet's partition keep their version, and all do that somebody must delete himself
    renewed = 0 if strategy.get("type") == "OnDelete" else wanted
    renewed -= min(renewed, (strategy.get("rollingUpdate") or {}).get("partition", 0))
    seen = status.get("observedGeneration", 0) >= item["metadata"].get("generation", 0)
    # no node need have what a DaemonSet wants of it; of a Deployment somebody has taken all pods
    if seen and (wanted or kind == "DaemonSet") and running >= wanted and fresh >= renewed:
        return ""
    return f"{running} of {wanted} ready, {fresh} of the newest version"


def _held(item: Object) -> dict[str, Object]:
    """The conditions of an object that are True, by type."""
    conditions = item.get("status", {}).get("conditions") or ()
    return {entry["type"]: entry for entry in conditions if entry["status"] == "True"}


def _refusal(item: Object) -> str:
    """Why the API does not take a definition: the message of NamesAccepted when that is False."""
    conditions = item.get("status", {}).get("conditions") or ()
    said = [
        c.get("message", "") for c in conditions if (c["type"], c["status"]) == ("NamesAccepted", "False")
    ]
    return "; ".join(filter(None, said))
