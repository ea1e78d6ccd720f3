"""Seeds within reach of hard links: the store's own on one file system, the lab's one copy across two."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.providers.lxc import seeds


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A seed on another file system than the tests' own folders."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        seed = Path(memory, "images-1")
        (seed / "db").mkdir(parents=True)
        (seed / "layer").write_text("bytes")
        if seed.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm is not a file system of its own here")
        yield seed


def test_on_one_file_system_the_stores_own_is_used(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "lab").mkdir()
    assert seeds.within_reach(tmp_path / "images", tmp_path / "lab") == tmp_path / "images"
    assert list((tmp_path / "lab").iterdir()) == []


def test_across_two_all_machines_share_one_copy(tmp_path: Path, elsewhere: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        copies = set(pool.map(lambda _: seeds.within_reach(elsewhere, tmp_path), range(4)))
    [copy] = copies
    assert copy == tmp_path / "seeds/images-1"
    assert (copy / "layer").read_text() == "bytes"
    assert [entry.name for entry in copy.parent.iterdir()] == ["images-1"]
    assert copy.stat().st_dev == tmp_path.stat().st_dev


def test_a_half_copy_and_an_older_one_go(tmp_path: Path, elsewhere: Path) -> None:
    for name in ("images-0", ".images-1"):
        (tmp_path / "seeds" / name).mkdir(parents=True)
    assert seeds.within_reach(elsewhere, tmp_path) == tmp_path / "seeds/images-1"
    assert [entry.name for entry in (tmp_path / "seeds").iterdir()] == ["images-1"]


def test_removing_none_is_fine(tmp_path: Path, elsewhere: Path) -> None:
    seeds.remove(tmp_path)
    seeds.within_reach(elsewhere, tmp_path)
    seeds.remove(tmp_path)
    assert list(tmp_path.iterdir()) == []
