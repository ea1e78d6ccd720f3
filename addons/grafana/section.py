"""Grafana's part of a lab: where it answers, what it asks, and the dashboards of this inventory."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import yaml

from addons.prometheus.section_config import NAMESPACE
from addons.prometheus.section_jobs import SLOWER
from addons.prometheus.section_model import Observability
from addons.prometheus.section_places import charts_host, url_of_charts
from lab.inventory.addon_sections import Section, WebPage
from lab.inventory.models import Inventory

UID = 472
"""User and group of Grafana's image."""
PORT, ADMIN = 3000, "admin"
"""Where its pod answers, and the user whom its image makes."""


def slowest(inventory: Inventory) -> int:
    """Seconds between two scrapes of the job that is scraped least often: rates must see several of them."""
    return inventory.section(Observability).prometheus.scrape_seconds * SLOWER


def data_sources(inventory: Inventory) -> dict[str, Any]:
    """Whom Grafana asks, as its file of provisioning has it; dashboards know each by its uid."""
    logs = inventory.section(Observability).logs
    found = [
        # the least of $__interval, by which $__rate_interval is reckoned
        _source("Prometheus", "prometheus", 9090, {"timeInterval": f"{slowest(inventory)}s"}, isDefault=True),
        _source("Alertmanager", "alertmanager", 9093, {"implementation": "prometheus"}),
    ]
    # VictoriaLogs speaks to Grafana by a plugin only, which is not a part of its image (README.md)
    if logs and logs.store == "loki":
        found.append(_source("Loki", "loki", 3100, {}))
    return {"apiVersion": 1, "datasources": found}


def _source(name: str, kind: str, port: int, options: Mapping[str, str], **more: bool) -> dict[str, Any]:
    url = f"http://{kind}.monitoring.svc:{port}"
    fixed = {"uid": kind, "access": "proxy", "url": url, "editable": False, "jsonData": dict(options)}
    return {"name": name, "type": kind, **fixed, **more}


def _values(inventory: Inventory, _: Mapping[str, str]) -> dict[str, Any]:
    # slow to import, and only a lab that has Grafana needs them
    from addons.grafana.dashboards import of_lab
    from addons.grafana.dashboards.as_json import as_json

    sources: str = yaml.safe_dump(data_sources(inventory), sort_keys=False)
    seconds = inventory.section(Observability).prometheus.scrape_seconds
    return {
        "host": charts_host(inventory),
        "url": url_of_charts(inventory),
        "user": UID,
        "sources": sources,
        # read when Grafana starts, and not again
        "digest": sha256(sources.encode()).hexdigest()[:16],
        "dashboards": {made.uid: as_json(made, seconds) for made in of_lab(inventory)},
    }


def _page(inventory: Inventory) -> WebPage:
    url = url_of_charts(inventory)
    return WebPage(namespace=NAMESPACE, service="grafana", port=PORT, url=url, user=ADMIN)


SECTION = Section(values=_values, pages={"grafana": _page})
