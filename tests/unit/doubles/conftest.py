"""A double for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.doubles.asking import Asking


@pytest.fixture
def double(tmp_path: Path) -> Asking:
    return Asking(tmp_path)


@pytest.fixture
def cluster(double: Asking) -> Asking:
    """The same with a template 9000 on pve-1."""
    double.make_template()
    return double
