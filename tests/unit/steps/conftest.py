"""A lab without machines, new or built, and waits that take no time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.checks import health
from lab.runs import Run
from lab.steps.context import Context
from lab.steps.machines import machine
from tests.fakes import FakeClock
from tests.unit.steps import leftovers
from tests.unit.steps.living import build
from tests.world import World


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> World:  # noqa: ARG001
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    # the store of whoever runs the tests may lack something, and their disk the room for it
    monkeypatch.setattr("lab.steps.preflight.possible", lambda *_: [[]])
    return World(tmp_path)


@pytest.fixture
def context(world: World) -> Iterator[Context]:
    made = world.build()
    yield made
    made.run.close()


@pytest.fixture
def up(world: World, context: Context) -> World:
    """All machines run, and none is a part of a cluster."""
    world.provider.prepare()
    for name in world.inventory.hosts:
        world.provider.create(machine(context, name))
    return world


@pytest.fixture
def nothing_unplanned(tmp_path: Path) -> Iterator[None]:
    """Whatever is done in a test, the plan has said it."""
    yield
    for log in tmp_path.glob(".lab/test/runs/2*/debug.log"):
        assert "that its plan did not say" not in log.read_text()


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate between two masters finds the lab in order."""
    monkeypatch.setattr(health, "gate", lambda _: None)


@pytest.fixture
def lab(world: World) -> World:
    """A lab that is built."""
    build(world)
    for host in world.hosts.values():
        host.ran.clear()
    world.kubeadm_runs.clear()
    world.api.deleted.clear()
    return world


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path, "test", "build")
    yield made
    made.close()


@pytest.fixture
def built(world: World) -> World:
    """A lab that was built; what was applied and deleted on the way is forgotten."""
    leftovers.run(world)
    world.api.applied.clear()
    world.api.deleted.clear()
    return world
