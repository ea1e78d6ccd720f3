"""Fixtures of the log store's own checks."""

from __future__ import annotations

import pytest

from addons.victorialogs.client import LogStore
from lab.checks.driver import Driver


@pytest.fixture(scope="session")
def store(driver: Driver) -> LogStore:
    """The lab's log store, asked from the balancer: it is no node, so this way is proven as well."""
    return LogStore(driver, driver.inventory.balancer)
