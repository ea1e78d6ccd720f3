"""Loki's configuration as data: one program that keeps everything on one machine's disk."""

from __future__ import annotations

from typing import Any

from addons.prometheus.section_model import Logs, Observability
from lab.inventory.models import Inventory

PORT = 3100
DATA = "/data"
SCHEMA_FROM = "2024-04-01"
"""From when on the format counts: before any lab's first line."""
LONGEST_LINE = "1MB"


def logs(inventory: Inventory) -> Logs:
    """What the inventory says of logs."""
    found = inventory.section(Observability).logs
    if found is None:
        raise LookupError(f"{inventory.lab}: keeps no logs, so it has no such add-on")
    return found


def configuration(inventory: Inventory) -> dict[str, Any]:
    """The content of loki.yaml. Without compactor and retention together Loki keeps everything for ever."""
    hours = 24 * logs(inventory).retention_days
    return {
        "auth_enabled": False,
        "server": {"http_listen_port": PORT, "log_format": "json"},
        "analytics": {"reporting_enabled": False},
        "common": {
            "path_prefix": DATA,
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}},
            "storage": {
                "filesystem": {"chunks_directory": f"{DATA}/chunks", "rules_directory": f"{DATA}/rules"}
            },
        },
        "schema_config": {
            "configs": [
                {
                    "from": SCHEMA_FROM,
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "compactor": {
            "working_directory": f"{DATA}/compactor",
            "retention_enabled": True,
            "delete_request_store": "filesystem",
        },
        "limits_config": {
            "retention_period": f"{hours}h",
            # what a journal holds of the time before is taken as far back as it would be kept
            "reject_old_samples_max_age": f"{hours}h",
            "max_line_size": LONGEST_LINE,
        },
    }
