"""Metrics, alerts, logs and charts in the inventory; each add-on of them is a part of this one section."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from addons.prometheus.section_config import configuration, memory, rules, text
from addons.prometheus.section_model import Observability
from addons.prometheus.section_pages import page_in_cluster
from addons.prometheus.section_places import charts_host, logs_host, metrics_host, url_of_charts
from addons.prometheus.section_problems import RULES
from lab.inventory.addon_sections import NewLab, Section
from lab.inventory.models import Inventory

PORT = 9090


def _rows(inventory: Inventory) -> dict[str, str]:
    found = inventory.section(Observability)
    prometheus, alertmanager = found.prometheus, found.alertmanager
    told = ", ".join(f"{item.name} ({item.kind})" for item in alertmanager.receivers) or "nobody"
    watched = f", {alertmanager.dead_mans_switch} while all is well" if alertmanager.dead_mans_switch else ""
    rows = {
        "metrics": f"every {prometheus.scrape_seconds} s, {prometheus.retention_days} days or "
        f"{prometheus.retention_gib} GiB on {metrics_host(inventory)}",
        "alerts": f"to {told}{watched}",
    }
    if found.logs:
        logs = found.logs
        size = f"{logs.retention_days} days or {logs.retention_gib} GiB"
        rows["logs"] = f"{logs.store}, {size} on {logs_host(inventory)}"
    if found.grafana:
        rows["charts"] = f"{url_of_charts(inventory)} on {charts_host(inventory)}"
    return rows


def _values(inventory: Inventory, _: Mapping[str, str]) -> dict[str, Any]:
    return {
        "configuration": text(configuration(inventory)),
        "rules": rules(inventory),
        "host": metrics_host(inventory),
        "memory": memory(inventory),
    }


def _written(_: NewLab) -> str:
    """A hint: what is built costs memory, and who wants to be told of alerts must say where."""
    return "# observability: {} # metrics and alerts; logs, charts and who is told: docs/inventory.md\n"


SECTION = Section(
    model=Observability,
    rules=RULES,
    values=_values,
    rows=_rows,
    pages={"prometheus": lambda _: page_in_cluster("prometheus", PORT)},
    written=_written,
)
