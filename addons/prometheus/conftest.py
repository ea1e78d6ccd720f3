"""Fixtures of Prometheus' own checks."""

from __future__ import annotations

import pytest

from addons.prometheus.asking import PrometheusApi
from lab.checks.driver import Driver


@pytest.fixture(scope="session")
def prometheus(driver: Driver) -> PrometheusApi:
    """The lab's Prometheus."""
    return PrometheusApi(driver)
