"""A lab without machines, and waits that take no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.steps.context import Build
from lab.steps.machines import machine
from tests.fakes import FakeClock
from tests.world import World


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> World:  # noqa: ARG001
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    return World(tmp_path)


@pytest.fixture
def build(world: World) -> Iterator[Build]:
    made = world.build()
    yield made
    made.run.close()


@pytest.fixture
def up(world: World, build: Build) -> World:
    """All machines run, and none is a part of a cluster."""
    world.provider.prepare()
    for name in world.inventory.hosts:
        world.provider.create(machine(build, name))
    return world
