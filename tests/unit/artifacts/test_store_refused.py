"""Folders a store cannot work in: full, not to be written in, somebody else's. Only its own are removed."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.store import Key, Store
from lab.errors import FailedError, PreflightError
from tests.unit.artifacts.making import producer, quiet


def test_the_cache_folder_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path / "elsewhere"))
    assert Store().folder == tmp_path / "elsewhere"


def test_only_folders_of_the_store_are_ever_removed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[Path] = []
    # Nothing is removed in this test, whatever the guard does.
    monkeypatch.setattr("lab.artifacts.store.shutil.rmtree", removed.append)
    outside = tmp_path / "outside"
    outside.mkdir()
    (store.folder / "work" / "link").symlink_to(outside)
    (store.folder / "work" / "deep" / "deeper").mkdir(parents=True)
    for path in (
        outside,
        store.folder,
        store.folder / "work",
        store.folder / "objects",
        store.folder / "work" / "link",
        store.folder / "work" / "deep" / "deeper",
        store.folder / "work" / ".." / ".." / "outside",
    ):
        with pytest.raises(FailedError, match="is no folder of the store"):
            store._remove(path)
    assert removed == []
    store._remove(store.folder / "work" / "deep")
    assert removed == [(store.folder / "work" / "deep").resolve()]


def test_a_folder_with_a_mount_in_it_is_not_emptied(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = store.folder / "work" / "thing"
    folder.mkdir()
    table = f"1 2 0:1 / {folder.resolve()}/proc rw - proc proc rw\n"
    removed: list[Path] = []
    monkeypatch.setattr("lab.artifacts.store.shutil.rmtree", removed.append)
    monkeypatch.setattr("lab.artifacts.store.MOUNTS", write(store.folder / "mountinfo", table))
    with pytest.raises(FailedError, match="is mounted inside"):
        store._remove(folder)
    assert removed == []


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_block_and_leaves_nothing(store: Store, key: Key, number: int) -> None:
    def produce(work: Path) -> dict[str, Path]:
        (work / "half").write_text("half")
        raise OSError(number, os.strerror(number))

    with pytest.raises(FailedError, match="the disk is full") as raised:
        store.ensure(key, produce, say=lambda _line: None)
    assert str(store.folder) in raised.value.message
    assert "PLUMBLINE_CACHE" in raised.value.next_step
    assert list((store.folder / "work").iterdir()) == []
    assert store.find(key) is None


def test_another_error_of_the_system_is_not_taken_for_it(store: Store, key: Key) -> None:
    def produce(_work: Path) -> dict[str, Path]:
        raise PermissionError(errno.EACCES, "no")

    with pytest.raises(PermissionError):
        store.ensure(key, produce, say=lambda _line: None)


@pytest.mark.parametrize("below", ["", "below"])
def test_a_cache_where_nothing_can_be_made_is_refused_by_its_name(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / below
    with pytest.raises(PreflightError, match=f"{folder}: no artefacts can be kept there: Not a directory"):
        Store(folder)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("place", ["locks", "work", "objects", "entries"])
def test_a_store_where_nothing_may_be_written_is_refused_by_its_name(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch, place: str, number: int
) -> None:
    """As a read-only file system and the folder of another user answer; what it has is found there."""
    other = Key.of("other", "amd64", {"version": "1"})
    there = store.ensure(other, producer("there"), say=quiet)
    at = {
        "locks": (os, "open"),
        "work": (Path, "mkdir"),
        "objects": (Path, "mkdir"),
        "entries": (Path, "rename"),
    }
    owner, name = at[place]
    real = getattr(owner, name)

    def refused(path: Path | str, *rest: Any, **named: Any) -> Any:
        target = rest[0] if name == "rename" else path
        if store.folder / place in Path(target).parents:
            raise OSError(number, os.strerror(number), str(path), None, str(target))
        return real(path, *rest, **named)

    with monkeypatch.context() as patched:
        patched.setattr(owner, name, refused)
        with pytest.raises(PreflightError) as raised:
            store.ensure(key, producer("one"), say=quiet)
        assert store.ensure(other, producer("there"), say=quiet) == there
    said = f"{store.folder}: no artefacts can be kept there: {os.strerror(number)} ({store.folder / place}/"
    assert raised.value.message.startswith(said)
    assert raised.value.next_step == "PLUMBLINE_CACHE=/another/folder, or mend this one"
    assert list((store.folder / "work").iterdir()) == []


def test_a_store_that_becomes_read_only_under_the_work_is_told(store: Store, key: Key) -> None:
    def produce(work: Path) -> dict[str, Path]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(work / "deep" / "program"))

    with pytest.raises(PreflightError, match="no artefacts can be kept there: Read-only file system"):
        store.ensure(key, produce, say=quiet)


def test_what_may_not_be_written_in_the_work_of_a_maker_is_no_matter_of_the_store(
    store: Store, key: Key
) -> None:
    def produce(work: Path) -> dict[str, Path]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(work / "program"))

    with pytest.raises(PermissionError):
        store.ensure(key, produce, say=quiet)
