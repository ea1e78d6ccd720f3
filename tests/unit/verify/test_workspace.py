"""A namespace of a check's own: who waits until it is gone."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest

from lab.checks.cluster import Cluster
from lab.checks.driver import Driver
from lab.checks.workspace import workspace
from lab.labs import Lab
from lab.render.bundle import pins
from tests.fakes import FakeClock, FakeProvider
from tests.world import inventory


class FakeCluster:
    """Namespaces that need a moment to go."""

    def __init__(self) -> None:
        self.there: dict[str, int] = {}
        """Looks until it is gone; -1: it is not being removed."""
        self.log: list[str] = []

    def items(self, _path: str) -> list[dict[str, Any]]:
        return []

    def create(self, collection: str, item: dict[str, Any]) -> dict[str, Any]:
        self.there[f"{collection}/{item['metadata']['name']}"] = -1
        return item

    def delete(self, path: str) -> None:
        self.log.append("removed")
        self.there[path] = 3

    def get(self, path: str) -> dict[str, Any] | None:
        if path not in self.there:
            return None
        self.there[path] -= 1
        if self.there[path] == 0:
            del self.there[path]
            self.log.append("gone")
        return {"status": {"phase": "Terminating"}}


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    monkeypatch.setattr("lab.checks.verbs.time", FakeClock())
    lab = Lab(inventory(), tmp_path, FakeProvider())
    return Driver(lab, tmp_path, pins(lab.inventory), stand_in=cast(Cluster, FakeCluster()))


def test_a_namespace_is_gone_behind_its_block(driver: Driver) -> None:
    with workspace(driver, "fire-1"):
        assert driver.cluster.log == []  # type: ignore[attr-defined]
    assert driver.cluster.log == ["removed", "gone"]  # type: ignore[attr-defined]


def test_what_nobody_waits_for_is_waited_for_at_the_end(driver: Driver) -> None:
    log: list[str] = driver.cluster.log  # type: ignore[attr-defined]
    with ExitStack() as removals:
        with workspace(driver, "fire-1", removals=removals):
            assert log == []
        assert log == ["removed"]
    assert log == ["removed", "gone"]
