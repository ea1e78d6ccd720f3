"""The store trusts only what was finished, makes nothing twice, and notices damage."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.digests import file_digest, tree_digest
from lab.artifacts.store import LONG, Entry, Key, Store, StoredFile
from lab.errors import FailedError, PreflightError
from lab.waits import NotYet, wait_for
from tests.soon import SOON

ROOT = Path(__file__).parents[3]
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
