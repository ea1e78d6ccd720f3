"""Prometheus' configuration as data, and what its pod needs, all of it from the inventory."""

from __future__ import annotations

from typing import Any

import yaml

from addons.prometheus.section_expected import Expected, expected
from addons.prometheus.section_jobs import scrape_configs, shared_kernel, targets
from addons.prometheus.section_model import Observability
from addons.prometheus.section_rule_files import written
from lab.inventory.models import Inventory
from lab.own_yaml import DUMPER

NAMESPACE = "monitoring"
BASE_MIB = 100
"""What Prometheus needs without any series: the program, answers to questions, the newest of its log."""
SERIES_KIB = 4
"""Memory of one series in the head, with its labels, chunks and what is replaced between two collections of
garbage. Measured on a lab of six machines: 2.3 KiB of 71,000 series (256 MiB resident, with `BASE_MIB`)."""
RULES = "/etc/prometheus/rules"
EVALUATION = "15s"
"""Pause between two judgements: alerts are known soon, and the machines' figures are older anyway."""
LONGEST_ANSWER = 10
"""Seconds that a target may take, or the pause between two looks if that is shorter."""


def configuration(inventory: Inventory) -> dict[str, Any]:
    """The content of prometheus.yml."""
    own = inventory.section(Observability).prometheus
    return {
        "global": {
            "scrape_interval": f"{own.scrape_seconds}s",
            "scrape_timeout": f"{min(LONGEST_ANSWER, own.scrape_seconds)}s",
            "evaluation_interval": EVALUATION,
            "external_labels": {"cluster": inventory.lab},
        },
        "storage": {
            "tsdb": {
                "retention": {"time": f"{own.retention_days}d", "size": f"{own.retention_gib}GB"},
            }
        },
        "rule_files": [f"{RULES}/*.yaml"],
        "alerting": {"alertmanagers": [_alertmanagers()]},
        "scrape_configs": scrape_configs(inventory),
    }


def _alertmanagers() -> dict[str, Any]:
    """Both by their pods' addresses: alerts about a name server that is down must not need it."""
    return {
        "kubernetes_sd_configs": [{"role": "pod", "namespaces": {"names": [NAMESPACE]}}],
        "relabel_configs": [
            {
                "source_labels": [
                    "__meta_kubernetes_pod_controller_kind",
                    "__meta_kubernetes_pod_controller_name",
                ],
                "separator": "/",
                "regex": "StatefulSet/alertmanager",
                "action": "keep",
            },
            {
                "source_labels": ["__meta_kubernetes_pod_ip"],
                "target_label": "__address__",
                "replacement": "$1:9093",
            },
        ],
    }


def expected_of(inventory: Inventory) -> Expected:
    """What Prometheus must find in a lab."""
    return expected(inventory, targets(inventory), shared_kernel(inventory))


def rules(inventory: Inventory) -> dict[str, str]:
    """The rule files of a lab by name, as texts."""
    return written(expected_of(inventory))


def text(content: dict[str, Any]) -> str:
    """A configuration as YAML."""
    written: str = yaml.dump(content, Dumper=DUMPER, sort_keys=False, width=10_000)
    return written


def memory(inventory: Inventory) -> dict[str, str]:
    """What Prometheus asks for and may use at most: series grow with machines.

    Twice the working set is left for the replay of its log after a crash, which is when it needs most.
    """
    machines = len(inventory.hosts)
    return {"request": f"{150 + 15 * machines}Mi", "limit": f"{_limit(inventory)}Mi"}


def series_budget(inventory: Inventory) -> int:
    """The series in memory for which that limit is enough: half of it is the working set."""
    return (_limit(inventory) // 2 - BASE_MIB) * 1024 // SERIES_KIB


def _limit(inventory: Inventory) -> int:
    """MiB."""
    return 600 + 60 * len(inventory.hosts)
