"""A driver of the little lab, whose hosts answer what a test has written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.checks.driver import Driver
from lab.labs import Lab
from lab.render.bundle import pins
from tests.fakes import FakeProvider, FakeSsh
from tests.world import inventory


@pytest.fixture
def ssh() -> FakeSsh:
    return FakeSsh()


@pytest.fixture
def driver(tmp_path: Path, ssh: FakeSsh) -> Driver:
    lab = Lab(inventory(), tmp_path, FakeProvider(), ssh=ssh)
    return Driver(lab, tmp_path / "run", pins(lab.inventory))
