"""The store makes nothing twice, and finds nothing of what was not finished."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab.artifacts.store import Key, Store, StoredFile
from lab.errors import FailedError
from lab.waits import NotYet, wait_for
from tests.soon import SOON
from tests.unit.artifacts.making import producer, quiet


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


def test_two_entries_may_have_the_same_bytes(store: Store, key: Key) -> None:
    """The second one's file takes the place of the first one's, which had another time, or was a program."""

    def text(work: Path) -> Mapping[str, Path]:
        (work / "text").write_text("one")
        os.utime(work / "text", (1, 1))
        return {"text": work / "text"}

    first = store.ensure(key, producer("one"), say=quiet)
    other = Key.of("other", "amd64", {"version": "1"})
    second = store.ensure(other, text, say=quiet)
    assert store.paths(first)["program"] == store.paths(second)["text"]
    assert (Store(store.folder).find(key), Store(store.folder).find(other)) == (first, second)
    assert store.paths(first)["program"].stat().st_mode & 0o777 == 0o755


def test_two_names_may_be_of_one_file_and_one_may_be_there_already(store: Store, key: Key) -> None:
    """As an image has a layer twice, and shares one with another image."""
    first = store.ensure(key, producer("one"), say=quiet)

    def produce(work: Path) -> Mapping[str, Path | StoredFile]:
        (work / "new").write_text("new")
        return {"b": work / "new", "a": work / "new", "old": first.files["program"]}

    other = Key.of("other", "amd64", {"version": "1"})
    second = store.ensure(other, produce, say=quiet)
    assert list(second.files) == ["a", "b", "old"]
    assert second.files["a"] == second.files["b"]
    assert store.paths(second)["old"] == store.paths(first)["program"]
    assert store.damage(second, full=True) == store.damage(first, full=True) == ""
    assert Store(store.folder).find(other) == second


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
    wait_for("the other process to work", lambda: there(started), seconds=SOON, interval=0.02)
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
        wait_for("the test to open the gate", lambda: there(gate), seconds=SOON, interval=0.02)
        return producer("one")(work)

    entry = Store(folder).ensure(Key.of("thing", "amd64", {"version": "1"}), produce, say=quiet)
    sys.exit(0 if entry.files["program"].size == 3 else 1)


def test_two_processes_make_it_once(store: Store, tmp_path: Path) -> None:
    journal, gate = tmp_path / "journal", tmp_path / "gate"
    spawn = multiprocessing.get_context("spawn")
    both = [spawn.Process(target=append_and_make, args=(store.folder, journal, gate)) for _ in range(2)]
    for process in both:
        process.start()
    wait_for("one of them to work", lambda: there(journal), seconds=SOON, interval=0.02)
    gate.write_text("open")
    for process in both:
        process.join(SOON)
    assert [process.exitcode for process in both] == [0, 0]
    assert len(journal.read_text().splitlines()) == 1
