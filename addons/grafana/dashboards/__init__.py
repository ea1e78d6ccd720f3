"""The dashboards, and which panels of them a lab has: none that depends on a part that is not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from addons.grafana.dashboards import (
    api,
    etcd,
    glance,
    network,
    nodes,
    observability,
    storage,
    suite,
    workloads,
)
from addons.grafana.dashboards.known import jobs
from addons.grafana.dashboards.model import Dashboard, Panel, Row
from lab.addons import selected
from lab.inventory.hardware import raspberry_pis
from lab.inventory.models import Inventory

DASHBOARDS: tuple[Dashboard, ...] = (
    glance.DASHBOARD,
    nodes.DASHBOARD,
    api.DASHBOARD,
    etcd.DASHBOARD,
    workloads.DASHBOARD,
    network.DASHBOARD,
    storage.DASHBOARD,
    observability.DASHBOARD,
    suite.DASHBOARD,
)
"""All of them, with every panel."""

_ONLY: Mapping[str, Callable[[Inventory], bool]] = {
    "": lambda _: True,
    "several masters": lambda inventory: len(inventory.masters) > 1,
    "raspberry pi": lambda inventory: bool(raspberry_pis(inventory)),
}


def of_lab(inventory: Inventory) -> tuple[Dashboard, ...]:
    """The dashboards of a lab, with the rows, panels and queries that there can be answers to."""
    here = {addon.name for addon in selected(inventory)}
    there = frozenset(name for name, job in jobs().items() if not job.addon or job.addon in here)
    made = []
    for dashboard in DASHBOARDS:
        rows = [Row(row.title, _panels(row, there, inventory)) for row in dashboard.rows]
        kept = tuple(row for row in rows if row.panels)
        if kept:
            made.append(replace(dashboard, rows=kept))
    return tuple(made)


def _panels(row: Row, there: frozenset[str], inventory: Inventory) -> tuple[Panel, ...]:
    found = []
    for panel in row.panels:
        queries = tuple(query for query in panel.queries if query.jobs <= there)
        if queries and _ONLY[panel.only](inventory):
            found.append(replace(panel, queries=queries))
    return tuple(found)
