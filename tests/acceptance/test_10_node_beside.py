"""Layer node: what is on a machine beside what was declared, and what it would do."""

from __future__ import annotations

import pytest

from lab.checks import modes
from lab.checks.driver import Driver
from lab.checks.survey import Survey


@pytest.mark.check("P1-11")
@pytest.mark.each("all")
def test_nobody_has_rights_beyond_what_is_declared(driver: Driver, survey: Survey, host: str) -> None:
    """Keys, settings and data have the mode and owner that their writer gives them, or fewer rights."""
    modes.are_declared(driver.bundles[host], survey)
