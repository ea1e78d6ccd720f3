"""A store of its own for each test, what every test says, and a bundle that another store wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.bundle import write
from lab.artifacts.store import Key, Store
from tests.unit.artifacts.bundles import filled
from tests.unit.artifacts.making import quiet


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


@pytest.fixture
def key() -> Key:
    return Key.of("thing", "amd64", {"version": "1"})


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trees here belong to whoever runs the tests, who can unpack them."""
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 0)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A bundle of all of it, and one wheel."""
    store = Store(tmp_path / "there")
    (tmp_path / "thing-1!2-py3-none-any.whl").write_bytes(b"wheel")
    wheels = [tmp_path / "thing-1!2-py3-none-any.whl"]
    write(store, filled(store), lambda _: wheels, tmp_path / "bundle.tar", say=quiet)
    return tmp_path / "bundle.tar"


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return Store(tmp_path / "here")
