"""Loki's part of a lab: its configuration and Alloy's, of this inventory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import yaml

from addons.loki.section_alloy import of_events, of_nodes, text
from addons.loki.section_loki import PORT, configuration, logs
from addons.prometheus.section_places import logs_host
from lab.inventory.addon_sections import Section
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.own_yaml import DUMPER

USER = 10001
"""User and group of Loki's image."""
ALLOY_PORT = 12345
STORE = f"http://loki.monitoring.svc.cluster.local:{PORT}"
SIZE: Loc = ("observability", "logs", "retention_gib")


def by_days_alone(inventory: Inventory) -> Iterator[Problem]:
    """Loki forgets by age; a size is room that the disk must have, and no bound."""
    rule = "is no bound to Loki, which forgets by days alone"
    fix = "see to it that so many days fit, or keep logs in victorialogs"
    if logs(inventory).retention_gib:
        yield Problem(SIZE, rule, fix, warning=True)


def files(inventory: Inventory) -> dict[str, str]:
    """The three files of configuration, by name."""
    return {
        "loki.yaml": yaml.dump(configuration(inventory), Dumper=DUMPER, sort_keys=False),
        "nodes.alloy": text(of_nodes(STORE, logs(inventory).retention_days)),
        "events.alloy": text(of_events(STORE)),
    }


def _values(inventory: Inventory, _: Mapping[str, str]) -> dict[str, Any]:
    written = files(inventory)
    machines = len(inventory.hosts)
    return {
        "host": logs_host(inventory),
        "port": PORT,
        "alloy_port": ALLOY_PORT,
        "user": USER,
        "node_environment": [
            *({"name": name, "value": value} for name, value in inventory.api_environment.items()),
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "files": written,
        # read when a program starts, and not again
        "digests": {name: sha256(content.encode()).hexdigest()[:16] for name, content in written.items()},
        "memory": {"request": f"{128 + 8 * machines}Mi", "limit": f"{512 + 32 * machines}Mi"},
    }


SECTION = Section(rules=(by_days_alone,), values=_values)
