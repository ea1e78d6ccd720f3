"""What Prometheus must find, by the inventory: recorded as series, so that rules compare with them.

`plumbline:host:expected{host, role, arch, shared_kernel}` is 1 for every machine, and
`plumbline:targets:expected{job}` the number of targets of every job.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from lab.inventory.models import Inventory

HOSTS = "plumbline:host:expected"
TARGETS = "plumbline:targets:expected"
EXPECTED = frozenset({HOSTS, TARGETS})


@dataclass(frozen=True)
class Expected:
    """Labels of every machine by its name, and the number of targets of every job that is scraped."""

    hosts: Mapping[str, Mapping[str, str]]
    targets: Mapping[str, int]

    def group(self) -> dict[str, Any]:
        """The group of rules that records it."""
        hosts = [
            {"record": HOSTS, "expr": "vector(1)", "labels": {"host": name, **labels}}
            for name, labels in self.hosts.items()
        ]
        targets = [
            {"record": TARGETS, "expr": f"vector({count})", "labels": {"job": job}}
            for job, count in sorted(self.targets.items())
        ]
        return {"name": "expected", "rules": [*hosts, *targets]}


def expected(inventory: Inventory, targets: Mapping[str, int], shared_kernel: Collection[str]) -> Expected:
    """What a lab's jobs must find; `shared_kernel` are the machines whose kernel is not their own."""
    hosts = {
        name: {
            "role": host.role.value,
            "arch": host.arch.value,
            "shared_kernel": "true" if name in shared_kernel else "false",
        }
        for name, host in inventory.hosts.items()
    }
    return Expected(hosts, dict(targets))
