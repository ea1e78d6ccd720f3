"""Fixtures of Traefik's own checks."""

from __future__ import annotations

import pytest

from addons.traefik.client import Traefik
from lab.checks.driver import Driver


@pytest.fixture(scope="session")
def ingress(driver: Driver) -> Traefik:
    """The lab's Traefik."""
    return Traefik(driver)
