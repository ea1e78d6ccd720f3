"""A verdict with everything in it."""

from __future__ import annotations

import pytest

from lab.checks.record import Verdict
from tests import reports


@pytest.fixture
def red() -> Verdict:
    """A red verdict of 16 hosts with every outcome, figures, a build and a layer that was not run."""
    return reports.red()
