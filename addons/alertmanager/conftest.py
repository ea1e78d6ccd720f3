"""Fixtures of Alertmanager's own checks."""

from __future__ import annotations

import pytest

from addons.alertmanager.client import Alertmanagers
from addons.prometheus.asking import PrometheusApi
from lab.checks.driver import Driver


@pytest.fixture(scope="session")
def alertmanagers(driver: Driver) -> Alertmanagers:
    """The lab's Alertmanagers."""
    return Alertmanagers(driver)


@pytest.fixture(scope="session")
def prometheus(driver: Driver) -> PrometheusApi:
    """The lab's Prometheus."""
    return PrometheusApi(driver)
