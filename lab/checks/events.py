"""The events of the cluster that belong to what a check found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lab.checks.outcomes import CouldNotTell
from lab.checks.words import event_line
from lab.objects import Object

if TYPE_CHECKING:
    from lab.checks.cluster import Cluster

AT_MOST = 3
"""Objects whose events are told: with more of them the first ones tell the kind of trouble."""


def newest_events(cluster: Cluster, names: Iterable[tuple[str, str]]) -> list[str]:
    """The newest event of each object or of what it owns, a line each, warnings first. `names` are namespace
    and name. Nothing when the API tells none, or cannot be asked: that is what others say.
    """
    found: list[str] = []
    held: dict[str, list[Object]] = {}
    for space, name in list(dict.fromkeys(names))[:AT_MOST]:
        try:
            if space not in held:
                held[space] = cluster.items(f"/api/v1/namespaces/{space}/events?limit=500")
        except CouldNotTell:
            return found
        mine = [item for item in held[space] if _is_about(item, name)]
        if mine:
            found.append(event_line(max(mine, key=_weight)))
    return list(dict.fromkeys(found))


def _is_about(item: Object, name: str) -> bool:
    about = str(item["involvedObject"].get("name", ""))
    return about == name or about.startswith(f"{name}-")


def _weight(item: Object) -> tuple[bool, str]:
    return item["type"] == "Warning", str(item.get("lastTimestamp") or item.get("eventTime") or "")
