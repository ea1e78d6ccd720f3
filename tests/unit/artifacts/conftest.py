"""A store of its own for each test, and what every test says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.store import Key, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def key() -> Key:
    return Key.of("thing", "amd64", {"version": "1"})


@pytest.fixture
def said() -> list[str]:
    return []
