"""A store that was copied without its times is digested once; what was noted of it is looked at again."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.digests import file_digest
from lab.artifacts.store import LONG, Entry, Key, Store
from tests.unit.artifacts.making import producer, quiet

ROOT = Path(__file__).parents[3]


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is read in full, in turn."""
    paths: list[Path] = []

    def digest(path: Path) -> str:
        paths.append(path)
        return file_digest(path)

    monkeypatch.setattr("lab.artifacts.kept.file_digest", digest)
    monkeypatch.setattr("lab.artifacts.digests.file_digest", digest)
    return paths


def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No entry can be written, and no time be set."""

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr("lab.artifacts.store.TemporaryDirectory", refused)
    monkeypatch.setattr("lab.artifacts.store.os.utime", refused)


def copied_without_times(store: Store, key: Key) -> tuple[Key, Key]:
    """A file and a tree, as `cp -r` and `rsync -r` leave them."""

    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        (tree / "file").write_text("whole")
        return {}

    debian = Key.of("tree", "amd64", {"version": "1"})
    entry = store.ensure(key, producer("one"), say=quiet)
    store.ensure_tree(debian, produce, say=quiet)
    for path in (store.paths(entry)["program"], store.tree_path(debian)):
        os.utime(path, ns=(0, 10**18))
    return key, debian


@pytest.mark.parametrize("writable", [True, False])
def test_a_store_that_was_copied_without_its_times_is_digested_once(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch, digested: list[Path], writable: bool
) -> None:
    """Nothing is made anew; a read-only one is remembered as long as the process lives."""
    keys = copied_without_times(store, key)
    recorded = [store.entry_path(one).read_bytes() for one in keys]
    digested.clear()
    if not writable:
        read_only(monkeypatch)
    for one in keys:
        found = store.find(one)
        assert found
        assert store.damage(found) == ""
    assert len(digested) == 2
    assert all(Store(store.folder).find(one) for one in keys)
    assert len(digested) == 2
    assert ([store.entry_path(one).read_bytes() for one in keys] == recorded) is not writable
    assert list((store.folder / "work").iterdir()) == []


def test_what_is_remembered_of_a_read_only_store_is_not_believed_of_a_changed_one(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = copied_without_times(store, key)
    read_only(monkeypatch)
    entry = store.find(key)
    assert entry
    assert store.find(keys[1])
    store.paths(entry)["program"].write_text("ONE")
    (store.tree_path(keys[1]) / "file").rename(store.tree_path(keys[1]) / "other")
    assert [store.find(one) for one in keys] == [None, None]
    store.entry_path(key).unlink()
    assert store.find(key) is None


def test_what_was_digested_and_is_damaged_is_not_digested_again(
    store: Store, key: Key, digested: list[Path]
) -> None:
    program = store.paths(store.ensure(key, producer("one"), say=quiet))["program"]
    program.write_text("ONE")
    os.utime(program, ns=(0, 10**18))
    digested.clear()
    for _ in range(3):
        entry, wrong = store.judged(key)
        assert entry
        assert wrong == f"program: {program} no longer has its digest"
    assert digested == [program]
    program.write_text("one")
    assert store.find(key), "it is looked at again when it was changed again"


@pytest.mark.parametrize(("size", "told"), [(LONG, []), (LONG + 1, ["thing"])])
def test_a_long_look_is_told_before_it_begins(
    store: Store, key: Key, size: int, told: list[str], monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    program = store.paths(store.ensure(key, producer("x" * size), say=quiet))["program"]
    looking = Store(store.folder, reads=True, say=said.append)
    assert looking.find(key)
    assert said == [], "the quick check says nothing"
    os.utime(program, ns=(0, 10**18))

    def digest(path: Path) -> str:
        assert len(said) == len(told)
        return file_digest(path)

    monkeypatch.setattr("lab.artifacts.kept.file_digest", digest)
    assert looking.find(key)
    assert [line.partition(":")[0] for line in said] == told
    assert all(line.endswith(": digesting 16 MiB") for line in said)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_what_cannot_be_read_is_told_by_its_path(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As root's own files in a tree answer to another user, and a disk that is failing."""
    thing, tree = copied_without_times(store, key)
    entry = store.read(thing)
    assert entry
    closed = {store.paths(entry)["program"], store.tree_path(tree) / "file"}

    def refused(path: Path) -> str:
        if path in closed:
            raise OSError(number, os.strerror(number), str(path))
        return file_digest(path)

    monkeypatch.setattr("lab.artifacts.kept.file_digest", refused)
    monkeypatch.setattr("lab.artifacts.digests.file_digest", refused)
    why = f"cannot be read: {os.strerror(number)}"
    assert store.judged(thing)[1] == f"program: {store.paths(entry)['program']}: {why}"
    assert store.judged(tree)[1] == f"{store.tree_path(tree)}/file: {why}"
    assert store.find(thing) is None


def test_a_folder_of_a_tree_that_cannot_be_read_is_not_taken_for_an_empty_one(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, tree = copied_without_times(store, key)
    real = os.scandir

    def refused(path: str) -> Any:
        if Path(path) == store.tree_path(tree):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path)

    monkeypatch.setattr("os.scandir", refused)
    assert store.judged(tree)[1] == f"{store.tree_path(tree)}: cannot be read: Permission denied"


def test_what_a_killed_rewriting_left_is_swept_and_nothing_else(store: Store, key: Key) -> None:
    program = f"""if True:
        import os, signal
        from pathlib import Path
        from lab.artifacts.store import Key, Store
        Store._record = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        Store(Path({str(store.folder)!r})).find(Key{(key.name, key.arch, key.digest)!r})"""
    os.utime(store.paths(store.ensure(key, producer("one"), say=quiet))["program"], ns=(0, 10**18))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    work = store.folder / "work"
    [left] = work.iterdir()
    assert left.name.startswith("again.")
    (work / "thing-amd64").mkdir()
    store.sweep()
    assert [path.name for path in work.iterdir()] == ["thing-amd64"], "that one is its maker's"
    assert store.find(key)


def test_whoever_is_swept_while_he_rewrites_has_found_it_all_the_same(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = store.ensure(key, producer("one"), say=quiet)
    recorded = store.entry_path(key).read_bytes()
    os.utime(store.paths(entry)["program"], ns=(0, 10**18))
    real = store._record

    def swept(present: Entry, work: Path) -> Entry:
        store.sweep()
        return real(present, work)

    monkeypatch.setattr(store, "_record", swept)
    assert store.find(key)
    assert store.entry_path(key).read_bytes() == recorded


def test_entries_that_share_a_file_do_not_take_its_time_from_each_other(
    store: Store, key: Key, digested: list[Path]
) -> None:
    other = Key.of("other", "amd64", {"version": "1"})
    first = store.ensure(key, producer("one"), say=quiet)
    path = store.paths(first)["program"]
    os.utime(path, ns=(0, 10**18))
    # adopts the file with the time that it has, which the first entry does not know
    store.ensure(other, producer("one"), say=quiet)
    digested.clear()
    assert store.find(key)
    assert store.find(other)
    assert digested == [path]
    os.utime(path, ns=(0, 2 * 10**18))
    assert store.find(key)
    assert store.find(other)
    assert digested == [path] * 3
    assert store.find(key)
    assert store.find(other)
    assert digested == [path] * 3
