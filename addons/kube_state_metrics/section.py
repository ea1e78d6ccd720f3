"""Which kinds of objects are shown as metrics, and what that needs to be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.inventory.addon_sections import Section
from lab.inventory.models import Inventory

SHOWN: Mapping[str, tuple[str, ...]] = {
    "": ("namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods", "services"),
    "apps": ("daemonsets", "deployments", "replicasets", "statefulsets"),
    "autoscaling": ("horizontalpodautoscalers",),
    "batch": ("cronjobs", "jobs"),
    "coordination.k8s.io": ("leases",),
    "networking.k8s.io": ("ingresses",),
    "policy": ("poddisruptionbudgets",),
}
"""Kinds by their API group. No secrets and no ConfigMaps: nothing reads them, so it may not either."""
READ = ("list", "watch")


def _values(_: Inventory, __: Mapping[str, str]) -> dict[str, Any]:
    return {
        "resources": ",".join(sorted(kind for kinds in SHOWN.values() for kind in kinds)),
        "rights": [
            {"apiGroups": [group], "resources": list(kinds), "verbs": list(READ)}
            for group, kinds in SHOWN.items()
        ],
    }


SECTION = Section(values=_values)
