"""Excluding nodes from load balancers, as an administrator does it, and taking that back."""

from __future__ import annotations

from lab.checks.driver import Driver
from lab.checks.workspace import LABEL

EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"


def exclude(driver: Driver, node: str) -> None:
    """Exclude a node; a second label says that it was a check."""
    _label(driver, node, {EXCLUDED: "", LABEL: "excluded"})


def include(driver: Driver, node: str) -> None:
    """Take the exclusion of a node back."""
    _label(driver, node, {EXCLUDED: None, LABEL: None})


def include_all(driver: Driver) -> None:
    """Take back every exclusion that a check, perhaps a crashed one, has made; nobody else's."""
    for item in driver.cluster.items(f"/api/v1/nodes?labelSelector={LABEL.replace('/', '%2F')}%3Dexcluded"):
        include(driver, item["metadata"]["name"])


def _label(driver: Driver, node: str, labels: dict[str, str | None]) -> None:
    driver.cluster.request("PATCH", f"/api/v1/nodes/{node}", {"metadata": {"labels": labels}})
