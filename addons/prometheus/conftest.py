"""Fixtures of Prometheus' own checks."""

from __future__ import annotations

import pytest

from addons.prometheus.client import Prometheus
from lab.checks.driver import Driver


@pytest.fixture(scope="session")
def prometheus(driver: Driver) -> Prometheus:
    """The lab's Prometheus."""
    return Prometheus(driver)
