"""What a store notices of files that were changed, lost or put in the wrong place, and makes again."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.digests import tree_digest
from lab.artifacts.store import Key, Store
from lab.errors import FailedError
from tests.unit.artifacts.making import producer, quiet


def test_a_file_that_was_changed_is_found_out_and_made_again(store: Store, key: Key) -> None:
    path = store.paths(store.ensure(key, producer("one"), say=quiet))["program"]
    path.write_text("ONE")
    assert store.find(key) is None
    calls: list[str] = []
    again = store.ensure(key, producer("one", calls), say=quiet)
    assert calls == ["one"]
    assert store.paths(again)["program"].read_text() == "one"


def test_a_file_that_is_gone_is_found_out(store: Store, key: Key) -> None:
    entry = store.ensure(key, producer("one"), say=quiet)
    store.paths(entry)["program"].unlink()
    assert store.find(key) is None
    assert "is gone" in store.damage(entry)


@pytest.mark.parametrize("tool", ["tar", "cp"])
def test_a_copied_store_is_as_good_as_the_first(store: Store, key: Key, tmp_path: Path, tool: str) -> None:
    """GNU tar keeps whole seconds in its own default format, cp every nanosecond."""

    def produce(folder: Path) -> Mapping[str, str]:
        (folder / "etc").mkdir(parents=True)
        (folder / "etc/hostname").write_text("one")
        os.utime(folder, ns=(0, 1_700_000_000_123_456_789))
        return {}

    tree = Key.of("tree", "amd64", {"version": "1"})
    entry = store.ensure(key, producer("one"), say=quiet)
    os.utime(store.paths(entry)["program"], ns=(0, entry.files["program"].mtime_ns))
    store.ensure_tree(tree, produce, say=quiet)
    copy = tmp_path / "copy"
    if tool == "tar":
        copy.mkdir()
        packed = subprocess.run(
            ["tar", "--format=gnu", "-C", str(store.folder), "-c", "."], capture_output=True, check=True
        )
        subprocess.run(["tar", "-C", str(copy), "-x"], input=packed.stdout, check=True)
    else:
        subprocess.run(["cp", "--archive", str(store.folder), str(copy)], check=True)
    second = Store(copy)
    assert second.find(key) is not None
    assert second.find(tree) is not None
    # another whole second is another file
    path = second.paths(entry)["program"]
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 10**9))
    assert "was changed after it was stored" in second.damage(entry)


def test_a_change_that_hides_behind_its_time_is_found_by_the_full_check(store: Store, key: Key) -> None:
    entry = store.ensure(key, producer("one"), say=quiet)
    path = store.paths(entry)["program"]
    path.write_text("ONE")
    os.utime(path, ns=(0, entry.files["program"].mtime_ns))
    assert store.damage(entry) == ""
    assert "no longer has its digest" in store.damage(entry, full=True)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"key": 1, "files": 2}', "[]", "[" * 10000, "\udcff"])
def test_a_broken_entry_counts_as_none(store: Store, key: Key, text: str) -> None:
    store.ensure(key, producer("one"), say=quiet)
    (store.folder / "entries" / f"{key.slug}.json").write_bytes(text.encode(errors="surrogateescape"))
    assert store.find(key) is None
    assert store.ensure(key, producer("one"), say=quiet).files["program"].size == 3


WRONG: dict[str, dict[str, Any]] = {
    "a list of files": {"files": []},
    "a file that is a list": {"files": {"program": []}},
    "a digest that is a number": {"files": {"program": {"sha256": 1, "size": 3, "mtime_ns": 1}}},
    "a digest that leads out": {"files": {"program": {"sha256": "../../x", "size": 3, "mtime_ns": 1}}},
    "a size below nothing": {"files": {"program": {"sha256": "0" * 64, "size": -3, "mtime_ns": 1}}},
    "a size that is a text": {"files": {"program": {"sha256": "0" * 64, "size": "3", "mtime_ns": 1}}},
    "a time that is none": {"files": {"program": {"sha256": "0" * 64, "size": 3, "mtime_ns": 10**30}}},
    "a name that leads out": {"files": {"../x": {"sha256": "0" * 64, "size": 3, "mtime_ns": 1}}},
    "a tree that is a text": {"tree": "x"},
    "a form that nobody knows": {"tree": {"sha256": "0" * 64, "size": 3, "mtime_ns": 1, "form": 9}},
    "notes that are a list": {"notes": []},
    "a note that is a number": {"notes": {"a": 1}},
    "a key that is a list": {"key": []},
}


@pytest.mark.parametrize("name", WRONG)
def test_an_entry_with_something_of_a_wrong_kind_counts_as_none(store: Store, key: Key, name: str) -> None:
    entry = store.ensure(key, producer("one"), say=quiet)
    text = json.dumps(json.loads(entry.text()) | WRONG[name])
    store.entry_path(key).write_text(text)
    assert store.read(key) is None
    assert store.ensure(key, producer("one"), say=quiet) == entry


def test_an_entry_of_an_older_version_is_judged_by_what_it_was_recorded_with(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its digest is without capabilities, of which Debian's ping has one."""

    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        (tree / "ping").write_text("ping")
        return {}

    def capable(path: Path, *_: object, **__: object) -> bytes:
        if path.name == "ping":
            return b"\x01"
        raise OSError(errno.ENODATA, "none")

    store.ensure_tree(key, produce, say=quiet)
    older = json.loads(store.entry_path(key).read_text())
    assert older["tree"].pop("form") == 2
    monkeypatch.setattr("lab.artifacts.digests.os.getxattr", capable)
    entry = store.read(key)
    assert entry
    assert "was changed" in store.damage(entry, full=True), "a capability was added"
    store.entry_path(key).write_text(json.dumps(older))
    entry = store.read(key)
    assert entry
    assert store.damage(entry, full=True) == ""


@pytest.mark.parametrize("number", [errno.ENODATA, errno.EOPNOTSUPP])
def test_files_without_capabilities_have_the_digest_they_always_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    (tmp_path / "file").write_text("text")

    def none(*_: object, **__: object) -> bytes:
        raise OSError(number, "none")

    monkeypatch.setattr("lab.artifacts.digests.os.getxattr", none)
    assert tree_digest(tmp_path) == tree_digest(tmp_path, form=1)


ONE = hashlib.sha256(b"one").hexdigest()
PLACES: dict[str, Callable[[Store, Key], Path]] = {
    "entry": lambda store, key: store.entry_path(key),
    "lock": lambda store, key: store.folder / "locks" / f"{key.name}-{key.arch}",
    "object": lambda store, _: store.folder / "objects" / ONE[:2] / ONE,
}


@pytest.mark.parametrize("place", PLACES)
def test_a_folder_where_a_file_belongs_is_told(store: Store, key: Key, place: str) -> None:
    path = PLACES[place](store, key)
    path.mkdir(parents=True)
    assert store.find(key) is None
    with pytest.raises(FailedError, match=f"thing: {path}: is a folder, and a file belongs there") as raised:
        store.ensure(key, producer("one"), say=quiet)
    assert raised.value.next_step.startswith(f"mv {path} ")
    path.rmdir()
    assert store.ensure(key, producer("one"), say=quiet).files["program"].size == 3


def test_a_folder_in_the_place_of_a_stored_file_is_damage(store: Store, key: Key) -> None:
    entry = store.ensure(key, producer("one"), say=quiet)
    path = store.paths(entry)["program"]
    path.unlink()
    path.mkdir()
    assert store.find(key) is None
    assert store.damage(entry, full=True) == f"program: {path} is no file"


@pytest.mark.parametrize("place", ["objects", "trees", "work"])
def test_a_file_where_a_folder_belongs_is_told(store: Store, key: Key, place: str) -> None:
    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        return {}

    named = {"objects": ONE[:2], "trees": key.slug, "work": f"{key.name}-{key.arch}"}
    path = store.folder / place / named[place]
    path.write_text("")
    with pytest.raises(FailedError, match=f"thing: {path}: is a file, and a folder belongs there"):
        if place == "trees":
            store.ensure_tree(key, produce, say=quiet)
        else:
            store.ensure(key, producer("one"), say=quiet)


def test_a_tree_without_its_entry_is_made_again(store: Store, key: Key) -> None:
    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        (tree / "file").write_text("whole")
        return {"version": "1"}

    store.tree_path(key).mkdir()
    (store.tree_path(key) / "half").write_text("half")
    entry = store.ensure_tree(key, produce, say=quiet)
    assert [path.name for path in store.tree_path(key).iterdir()] == ["file"]
    assert entry.notes == {"version": "1"}
    assert store.find(key) == entry


def test_a_tree_that_was_changed_is_found_by_the_full_check(store: Store, key: Key) -> None:
    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        (tree / "file").write_text("whole")
        return {}

    entry = store.ensure_tree(key, produce, say=quiet)
    assert store.damage(entry, full=True) == ""
    (store.tree_path(key) / "file").write_text("WHOLE")
    assert store.damage(entry) == ""
    assert "was changed" in store.damage(entry, full=True)


def test_a_tree_that_is_half_deleted_is_made_again(store: Store, key: Key) -> None:
    def produce(tree: Path) -> Mapping[str, str]:
        (tree / "etc").mkdir(parents=True)
        (tree / "usr").mkdir()
        return {}

    entry = store.ensure_tree(key, produce, say=quiet)
    (store.tree_path(key) / "etc").rmdir()
    assert "added or removed" in store.damage(entry)
    store.ensure_tree(key, produce, say=quiet)
    assert (store.tree_path(key) / "etc").is_dir()
