"""What others have added to an object of ours, from its managedFields: who wrote which field (KEP-555).

Kubernetes keeps for each writer ("manager") the set of fields that it wrote, as a tree (FieldsV1): `f:NAME`
is a field, `k:{...}` the member of a list with these key fields, `v:...` that of a set, `i:N` that of a list
by its place.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.cluster.api import FIELD_MANAGER, Api, ApiError
from lab.objects import Object

MISSING = object()
"""No value at all: what a look at a path gives that leads nowhere."""
CONTROL_PLANE = ("kubeadm", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""Who may write where nothing is rendered, as an autoscaler does the replicas."""
INJECTED = "f:caBundle"
"""Filled in by whoever serves a webhook; that it fits is proven by asking the webhook."""

Steps = tuple[str, ...]


@dataclass(frozen=True)
class Added:
    """A part of a living object that is not in the rendered one, and who wrote it."""

    path: str
    value: Any
    manager: str


def added(api: Api, rendered: Object, living: Object) -> list[Added]:
    """What others than the lab and the control plane have added outside of metadata and status.

    A value that is the API's own default is no addition, whoever wrote it: the API is asked for the object
    without it, as a dry run. Changes nothing.
    """
    found: dict[Steps, str] = {}
    for entry in living["metadata"].get("managedFields") or ():
        # what the lab applied and renders no more is told by the dry run, which would remove it
        ours = (entry["manager"], entry["operation"]) == (FIELD_MANAGER, "Apply")
        if ours or entry["manager"] in CONTROL_PLANE or entry.get("subresource") == "status":
            continue
        for steps in _leaves(entry.get("fieldsV1") or {}):
            outside = _outside(steps, rendered)
            if outside and not _free(steps, rendered) and at(living, outside) is not MISSING:
                found.setdefault(outside, entry["manager"])
    kept = _beyond_defaults(api, living, found) if found else ()
    return [Added(_path(steps), at(living, steps), found[steps]) for steps in kept]


def _leaves(tree: Mapping[str, Any], before: Steps = ()) -> Iterator[Steps]:
    for step, inner in tree.items():
        if step == ".":  # the field itself, beside what is in it
            continue
        steps = (*before, step)
        if inner.keys() - {"."}:
            yield from _leaves(inner, steps)
        else:
            yield steps


def _free(steps: Steps, rendered: Object) -> bool:
    """Whether a path is not judged: labels and annotations, which controllers write all the time, status, CAs
    of webhooks, and the data of a Secret that is rendered empty for somebody to fill."""
    if "f:metadata" in steps or steps[0] == "f:status" or INJECTED in steps:
        return True
    return rendered["kind"] == "Secret" and not {"data", "stringData"} & rendered.keys()


def _outside(steps: Steps, rendered: Object) -> Steps:
    """The beginning of a path that leads out of the rendered object; () for a path inside of it."""
    value: Any = rendered
    for number, step in enumerate(steps, 1):
        if not isinstance(value, dict | list):
            return ()  # the rendered value has no parts: the dry run compares it whole
        value = at(value, (step,))
        if value is MISSING:
            return steps[:number]
    return ()


def at(value: Any, steps: Steps) -> Any:
    """The part of a tree to which a path leads, `MISSING` when there is none.

    A key field that a member of a list lacks is taken to fit: a rendered port need not say that it is TCP.
    """
    for step in steps:
        place = _place(value, step)
        if place is MISSING:
            return MISSING
        value = value[place]
    return value


def _place(value: Any, step: str) -> Any:
    """The key or index of a part, `MISSING` when it is not there."""
    kind, _, text = step.partition(":")
    if isinstance(value, dict):
        return text if kind == "f" and text in value else MISSING
    if not isinstance(value, list) or kind == "f":
        return MISSING
    wanted = json.loads(text)
    for index, item in enumerate(value):
        if (kind == "i" and index == wanted) or (kind == "v" and item == wanted):
            return index
        if kind == "k" and isinstance(item, dict) and _fits(item, wanted):
            return index
    return MISSING


def _fits(item: Mapping[str, Any], keys: Mapping[str, Any]) -> bool:
    known = keys.keys() & item.keys()
    return bool(known) and all(item[key] == keys[key] for key in known)


def _beyond_defaults(api: Api, living: Object, found: Mapping[Steps, str]) -> list[Steps]:
    """Those paths whose value the API would not set by itself. What it must not lack is no default."""
    trial = copy.deepcopy(living)
    for steps in found:
        owner = at(trial, steps[:-1])
        if owner is not MISSING and at(owner, steps[-1:]) is not MISSING:
            del owner[_place(owner, steps[-1])]
    try:
        after = api.request("PUT", f"{api.path(living)}?dryRun=All", trial)
    except ApiError as error:
        if error.status not in (400, 409, 422):
            raise
        return list(found)
    return [steps for steps in found if at(after, steps) != at(living, steps)]


def _path(steps: Steps) -> str:
    """A path for people."""
    text = ""
    for step in steps:
        kind, _, part = step.partition(":")
        if kind == "f":
            text += f".{part}" if text else part
        elif kind == "k":
            keys = ",".join(f"{key}={value}" for key, value in json.loads(part).items())
            text += f"[{keys}]"
        else:
            text += f"[{part}]"
    return text
