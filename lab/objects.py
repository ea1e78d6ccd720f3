"""Kubernetes' objects as the API and manifests have them: plain dictionaries, by Kubernetes' own names."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def title(item: Object) -> str:
    """kind/namespace/name of an object."""
    meta = item["metadata"]
    return "/".join(part for part in (item["kind"], meta.get("namespace", ""), meta["name"]) if part)


def condition(item: Object, kind: str) -> Object:
    """The condition of a type in an object's status; empty when there is none."""
    found: Object = next(
        (entry for entry in item.get("status", {}).get("conditions") or () if entry["type"] == kind), {}
    )
    return found


def is_ready(item: Object) -> bool:
    """Whether the Ready condition of a node or a pod is True."""
    return condition(item, "Ready").get("status") == "True"
