"""The store trusts only what was finished, makes nothing twice, and notices damage."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lab.artifacts.store import Key, Store
from lab.errors import FailedError
from lab.waits import NotYet, wait_for

Produce = Callable[[Path], Mapping[str, Path]]


def producer(content: str, calls: list[str] | None = None) -> Produce:
    def produce(work: Path) -> Mapping[str, Path]:
        if calls is not None:
            calls.append(content)
        (work / "program").write_text(content)
        (work / "program").chmod(0o700)
        return {"program": work / "program"}

    return produce


def quiet(_line: str) -> None:
    pass


def test_what_was_made_once_is_found_again(store: Store, key: Key) -> None:
    calls: list[str] = []
    first = store.ensure(key, producer("one", calls), say=quiet)
    again = Store(store.folder).ensure(key, producer("two", calls), say=quiet)
    assert calls == ["one"]
    assert again == first
    assert store.paths(again)["program"].read_text() == "one"


def test_a_program_stays_executable_and_a_document_is_read_only(store: Store, key: Key) -> None:
    def produce(work: Path) -> Mapping[str, Path]:
        (work / "text").write_text("text")
        return {**producer("program")(work), "text": work / "text"}

    paths = store.paths(store.ensure(key, produce, say=quiet))
    assert paths["program"].stat().st_mode & 0o777 == 0o755
    assert paths["text"].stat().st_mode & 0o777 == 0o444


def test_other_inputs_are_another_artefact(store: Store, key: Key) -> None:
    store.ensure(key, producer("one"), say=quiet)
    assert store.find(Key.of("thing", "amd64", {"version": "2"})) is None
    assert store.find(Key.of("thing", "arm64", {"version": "1"})) is None


def test_a_failed_build_leaves_nothing_to_find(store: Store, key: Key) -> None:
    def produce(work: Path) -> Mapping[str, Path]:
        (work / "program").write_text("half")
        raise FailedError("no")

    with pytest.raises(FailedError):
        store.ensure(key, produce, say=quiet)
    assert store.find(key) is None
    assert list((store.folder / "work").iterdir()) == []
    assert store.ensure(key, producer("whole"), say=quiet).files["program"].size == 5


def killed_while_making(folder: Path, started: Path) -> None:
    def produce(work: Path) -> Mapping[str, Path]:
        (work / "program").write_text("half")
        started.write_text("now")
        signal.pause()
        raise AssertionError("was to be killed")

    Store(folder).ensure(Key.of("thing", "amd64", {"version": "1"}), produce, say=quiet)


def test_a_killed_build_is_swept_and_done_again(store: Store, key: Key, tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = multiprocessing.get_context("spawn").Process(
        target=killed_while_making, args=(store.folder, started)
    )
    process.start()
    wait_for("the other process to work", lambda: there(started), seconds=20, interval=0.02)
    process.kill()
    process.join()

    assert (store.folder / "work" / "thing-amd64" / "program").read_text() == "half"
    assert store.find(key) is None
    assert store.paths(store.ensure(key, producer("whole"), say=quiet))["program"].read_text() == "whole"
    assert list((store.folder / "work").iterdir()) == []


def there(path: Path) -> None:
    if not path.exists():
        raise NotYet(f"no {path.name}")


def append_and_make(folder: Path, journal: Path, gate: Path) -> None:
    def produce(work: Path) -> Mapping[str, Path]:
        with journal.open("a") as out:
            out.write(f"{os.getpid()}\n")
        wait_for("the test to open the gate", lambda: there(gate), seconds=20, interval=0.02)
        return producer("one")(work)

    entry = Store(folder).ensure(Key.of("thing", "amd64", {"version": "1"}), produce, say=quiet)
    sys.exit(0 if entry.files["program"].size == 3 else 1)


def test_two_processes_make_it_once(store: Store, tmp_path: Path) -> None:
    journal, gate = tmp_path / "journal", tmp_path / "gate"
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=append_and_make, args=(store.folder, journal, gate)) for _ in range(2)]
    for process in both:
        process.start()
    wait_for("one of them to work", lambda: there(journal), seconds=20, interval=0.02)
    gate.write_text("open")
    for process in both:
        process.join(20)
    assert [process.exitcode for process in both] == [0, 0]
    assert len(journal.read_text().splitlines()) == 1


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


@pytest.mark.parametrize("text", ["", "{", "{}", '{"key": 1, "files": 2}', "[]"])
def test_a_broken_entry_counts_as_none(store: Store, key: Key, text: str) -> None:
    store.ensure(key, producer("one"), say=quiet)
    (store.folder / "entries" / f"{key.slug}.json").write_text(text)
    assert store.find(key) is None
    assert store.ensure(key, producer("one"), say=quiet).files["program"].size == 3


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
