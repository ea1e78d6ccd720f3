"""Layer node: what runs on a machine has read what is written there."""

from __future__ import annotations

import pytest

from lab.checks.driver import Driver
from lab.checks.running import units_have_read_their_files


@pytest.mark.check("P1-05")
@pytest.mark.each("all")
def test_units_have_read_their_files(driver: Driver, host: str) -> None:
    """Each unit of the machine was started, or has read its files again, after their last change."""
    units_have_read_their_files(driver, host)
