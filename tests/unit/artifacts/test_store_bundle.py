"""Bundles: what one store wrote another has, whole and with the same digests."""

from __future__ import annotations

import errno
import hashlib
import io
import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from lab.artifacts.bundle import LISTING, fetch_wheels, write
from lab.artifacts.store import Entry, Store
from lab.artifacts.unbundle import take
from lab.errors import CommandError, FailedError, InputError, PreflightError
from tests.unit.artifacts.bundles import (
    IMAGE,
    LIKE_IT,
    PROGRAM,
    TREE,
    assert_empty,
    contents,
    filled,
    listed,
    mine_file,
    no_wheels,
    rewritten,
)
from tests.unit.artifacts.making import quiet

pytestmark = pytest.mark.usefixtures("root")


def test_the_other_store_has_everything_with_the_same_digests(
    bundle: Path, here: Store, tmp_path: Path
) -> None:
    there = Store(tmp_path / "there")
    listing, digest = take(here, bundle, say=quiet)
    assert digest == hashlib.sha256(contents(bundle)[LISTING]).hexdigest()
    assert set(listing.wheels) == {"thing-1!2-py3-none-any.whl"}
    for key in (PROGRAM, IMAGE, LIKE_IT, TREE):
        mine, theirs = here.find(key), there.find(key)
        assert mine
        assert theirs
        assert here.damage(mine, full=True) == ""
        assert (mine.digest, mine.size, mine.notes) == (theirs.digest, theirs.size, theirs.notes)
        assert [file.sha256 for file in mine.files.values()] == [
            file.sha256 for file in theirs.files.values()
        ]
    assert here.object_path(mine_file(here, "one")).stat().st_mode & 0o777 == 0o755
    tree = here.tree_path(TREE)
    assert (tree / "usr/bin/su").stat().st_mode & 0o7777 == 0o4755
    assert (tree / "usr/bin/su").samefile(tree / "usr/bin/also")
    assert (tree / "run").readlink() == Path("/run")
    assert list((here.folder / "work").iterdir()) == []


def test_twice_is_once(bundle: Path, here: Store) -> None:
    take(here, bundle, say=quiet)
    before = {path: path.stat().st_mtime_ns for path in here.folder.rglob("*") if path.is_file()}
    take(here, bundle, say=quiet)
    kept = {path: path.stat().st_mtime_ns for path in before}
    assert kept == before


def test_the_same_store_gives_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    wheels = [tmp_path / "thing-1!2-py3-none-any.whl"]
    write(store, filled(store), lambda _: wheels, tmp_path / "again.tar", say=quiet)
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()


def test_a_file_that_is_there_is_not_written_over(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is there already"):
        write(Store(tmp_path / "there"), [], no_wheels, bundle, say=quiet)


def test_a_damaged_object_is_not_bundled(tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    entries = filled(store)
    path = store.object_path(mine_file(store, "one"))
    path.write_text("eno")
    with pytest.raises(FailedError, match=r"tools \(amd64\): one: .* no longer has its digest") as raised:
        write(store, entries, no_wheels, tmp_path / "bundle.tar", say=quiet)
    assert f"rm {store.entry_path(PROGRAM)}" in raised.value.next_step
    assert [path.name for path in tmp_path.iterdir()] == ["there"], "no half bundle"


def test_a_damaged_tree_is_not_bundled(tmp_path: Path) -> None:
    """A changed file in it changes no time of the top folder, which is all that the quick check looks at."""
    store = Store(tmp_path / "there")
    entries = filled(store)
    (store.tree_path(TREE) / "usr/bin/su").write_text("us")
    assert store.find(TREE)
    with pytest.raises(FailedError, match=r"debian \(amd64\): .* was changed after it was stored") as raised:
        write(store, entries, no_wheels, tmp_path / "bundle.tar", say=quiet)
    assert f"rm {store.entry_path(TREE)}" in raised.value.next_step
    assert [path.name for path in tmp_path.iterdir()] == ["there"], "no half bundle"


def test_a_bundle_that_changes_while_it_is_read_says_what_was_taken(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(line: str) -> None:
        if line == "coredns (arm64)":
            monkeypatch.setattr("lab.artifacts.unbundle._stream", lambda *_: io.BytesIO(b"other"))

    with pytest.raises(InputError, match="changed while it was read; 1 of its 4 artefacts") as raised:
        take(here, bundle, say=other)
    assert "tools (amd64); `invoke artifacts.bundle --from` goes on" in raised.value.message
    monkeypatch.undo()
    take(here, bundle, say=quiet)
    assert here.find(IMAGE)


def test_a_disk_that_is_full_while_a_tree_is_unpacked_is_one_block(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(command: list[str], *, log: Path, **_: object) -> float:
        said = f"tar: ./ping: Cannot write: {os.strerror(errno.ENOSPC)}"
        raise CommandError("", " ".join(command), 2, said, next_step=f"less {log}")

    monkeypatch.setattr("lab.artifacts.bundle.programs.run", full)
    said: list[str] = []
    with pytest.raises(FailedError, match=r"^debian: .*: the disk is full \(\d+ MiB are free\)\n") as raised:
        take(here, bundle, say=said.append)
    assert "tar:" not in str(raised.value)
    assert "df -h" in raised.value.next_step
    assert said[-1].startswith("3 of its 4 artefacts are in the store, and sound: tools (amd64), coredns")


def test_a_tree_is_refused_to_whoever_is_not_root_before_anything_is_taken(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 1000)
    with pytest.raises(PreflightError, match=r"b\w+\.tar: debian \(amd64\): only root can keep") as raised:
        take(here, bundle, say=quiet)
    assert "nothing of it was taken" in raised.value.message
    assert raised.value.next_step.startswith("take it as root, onto a file system that keeps owners")
    assert_empty(here)
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 0)
    take(here, bundle, say=quiet)
    monkeypatch.setattr("lab.artifacts.unbundle.os.geteuid", lambda: 1000)
    take(here, bundle, say=quiet)  # the tree is in the store


def test_an_owner_that_tar_cannot_keep_is_told_with_what_helps(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(command: list[str], *, log: Path, **_: object) -> float:
        said = "tar: ./ping: Cannot change ownership to uid 0, gid 0: Operation not permitted\ntar: Exiting"
        raise CommandError("", " ".join(command), 2, said, next_step=f"less {log}")

    monkeypatch.setattr("lab.artifacts.bundle.programs.run", refusing)
    with pytest.raises(InputError, match=r"its tree: \./ping: Cannot change ownership") as raised:
        take(here, bundle, say=quiet)
    assert "3 of its 4 artefacts are in the store" in raised.value.message
    assert "Exiting" not in raised.value.message
    assert raised.value.next_step.startswith("take it as root, onto a file system that keeps owners")


def test_another_failure_of_tar_keeps_its_words_and_a_log_that_is_there(bundle: Path, here: Store) -> None:
    (here.folder / "bin").mkdir()
    tar = here.folder / "bin" / "tar"
    tar.write_text("#!/bin/sh\necho not today; exit 2\n")
    tar.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tar.parent}:{os.environ['PATH']}")
        with pytest.raises(CommandError, match="not today") as raised:
            take(here, bundle, say=quiet)
    assert Path(raised.value.next_step.removeprefix("less ")).read_text() == "not today\n"


def test_the_log_of_wheels_that_cannot_be_fetched_is_there_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.artifacts.bundle.sys.executable", "/bin/false")
    store, log = Store(tmp_path / "there"), tmp_path / "there" / "logs" / "wheels.log"
    with pytest.raises(CommandError) as raised:
        write(store, [], partial(fetch_wheels, log=log, say=quiet), tmp_path / "b.tar", say=quiet)
    assert raised.value.next_step == f"less {log}"
    assert log.exists()


CAPABLE = b"\x01\x00\x00\x02" + b"\x00\x20" + bytes(14)
"""cap_net_raw=ep, as ping has it (linux/capability.h, vfs_cap_data)."""


def test_capabilities_are_carried_and_a_tree_that_lost_them_is_refused(
    tmp_path: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only root may set one, so what the kernel tells of them is stood in for."""
    there = Store(tmp_path / "there")

    def capable(path: Path, *_: object, **__: object) -> bytes:
        if path.name == "su":
            return CAPABLE
        raise OSError(errno.ENODATA, "none")

    monkeypatch.setattr("lab.artifacts.digests.os.getxattr", capable)
    write(there, filled(there), no_wheels, tmp_path / "bundle.tar", say=quiet)
    take(here, tmp_path / "bundle.tar", say=quiet)
    found = here.find(TREE)
    assert found
    assert found == replace_time(there.find(TREE), found)
    monkeypatch.undo()
    assert "was changed" in here.damage(found, full=True)
    with pytest.raises(InputError, match="its tree is not the one of its list") as raised:
        take(Store(tmp_path / "third"), tmp_path / "bundle.tar", say=quiet)
    assert "keeps owners and capabilities" in raised.value.next_step


def replace_time(entry: Entry | None, other: Entry) -> Entry:
    assert entry
    assert entry.tree
    assert other.tree
    return replace(entry, tree=replace(entry.tree, mtime_ns=other.tree.mtime_ns))


def test_a_bundle_of_an_older_version_is_taken_by_the_digest_that_it_tells(bundle: Path, here: Store) -> None:
    older = listed(lambda said: said["entries"][3]["tree"].pop("form"))
    take(here, rewritten(bundle, older), say=quiet)
    found = here.find(TREE)
    assert found
    assert found.tree
    assert found.tree.form == 2, "it is digested anew when it is stored"
