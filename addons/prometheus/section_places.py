"""Where the parts of observability run, and whose disk keeps what: decided by the inventory alone."""

from __future__ import annotations

from dataclasses import dataclass

from addons.prometheus.section_model import Observability
from lab.inventory.models import Arch, Inventory
from lab.inventory.problems import Loc

SECTION: Loc = ("observability",)
SYSTEM_GIB = 10
"""Of a disk for the system, images and what pods write."""
FREE = 0.15
"""Share of a disk that stays free: below it the kubelet removes images and pods."""


@dataclass(frozen=True)
class KeptPart:
    """What one part keeps: its place in the file, how messages call it, the worker and the GiB there."""

    path: Loc
    what: str
    host: str
    gib: int


def usual(inventory: Inventory) -> tuple[str, ...]:
    """The workers that are taken unless one is named: those of amd64 first, whose disks are no SD cards."""
    return tuple(sorted(inventory.workers, key=lambda name: inventory.hosts[name].arch is not Arch.AMD64))


def metrics_host(inventory: Inventory) -> str:
    """The worker that keeps metrics."""
    return inventory.section(Observability).prometheus.host or usual(inventory)[0]


def logs_host(inventory: Inventory) -> str:
    """The worker that keeps logs; not that of the metrics, if another of amd64 is there."""
    logs, workers = inventory.section(Observability).logs, usual(inventory)
    if logs and logs.host:
        return logs.host
    second = workers[min(1, len(workers) - 1)]
    return second if inventory.hosts[second].arch is Arch.AMD64 else workers[0]


def charts_host(inventory: Inventory) -> str:
    """The worker on which charts are shown."""
    grafana = inventory.section(Observability).grafana
    return grafana.host if grafana and grafana.host else metrics_host(inventory)


def kept(inventory: Inventory) -> tuple[KeptPart, ...]:
    """What is kept on disks, and where."""
    found = inventory.section(Observability)
    gib = found.prometheus.retention_gib
    parts = [KeptPart((*SECTION, "prometheus"), "metrics", metrics_host(inventory), gib)]

    if found.logs:
        parts.append(KeptPart((*SECTION, "logs"), "logs", logs_host(inventory), found.logs.retention_gib))
    return tuple(parts)


def room(inventory: Inventory, name: str) -> int:
    """GiB of a machine's disk that may be kept full of what has a bound."""
    return max(0, int(inventory.hosts[name].disk_gib * (1 - FREE)) - SYSTEM_GIB)


def url_of_charts(inventory: Inventory) -> str:
    """Where people find the charts; "" in a lab without them."""
    grafana = inventory.section(Observability).grafana
    host = inventory.hosts[charts_host(inventory)]
    return f"http://{host.address}:{grafana.port}" if grafana else ""
