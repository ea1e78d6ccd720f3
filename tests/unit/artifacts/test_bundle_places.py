"""Where bundles are read and written: what cannot be is told, and what a killed writer left goes."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from invoke.exceptions import Exit

from lab.artifacts.bundle import LISTING, Listing, fetch_wheels, try_out, write
from lab.artifacts.store import Store
from lab.artifacts.unbundle import take
from lab.commands import bundling
from lab.errors import CommandError, FailedError, InputError, PreflightError
from tests.unit.artifacts.bundles import assert_empty, contents, filled, no_wheels
from tests.unit.artifacts.making import quiet
from tests.world import inventory

pytestmark = pytest.mark.usefixtures("root")


def test_a_medium_that_cannot_be_read_is_told(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Listing.model_validate_json(contents(bundle)[LISTING])

    def failing(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("lab.artifacts.unbundle._stream", failing)
    monkeypatch.setattr("lab.artifacts.unbundle._listing", lambda *_: (known, ""))
    with pytest.raises(InputError, match="cannot be read: Input/output error; nothing of it was taken"):
        take(here, bundle, say=quiet)


def test_a_full_disk_is_told_before_anything_is_written(
    bundle: Path, here: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("lab.artifacts.unbundle.shutil.disk_usage", lambda _folder: free)
    with pytest.raises(PreflightError, match="0 MiB free"):
        take(here, bundle, say=quiet)
    assert_empty(here)


def test_a_bundle_that_cannot_be_made_where_it_should_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path / "there")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/b.tar: cannot be written: Not a directory"):
        write(store, [], no_wheels, tmp_path / "file" / "b.tar", say=quiet)


def test_a_pipe_is_no_bundle_and_nobody_waits_for_its_writer(tmp_path: Path, here: Store) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: no plain file"):
        take(here, tmp_path / "pipe", say=quiet)
    with pytest.raises(InputError, match=f"{tmp_path}: Is a directory"):
        take(here, tmp_path, say=quiet)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("there", "is there already"),
        ("no/b.tar", "its folder does not exist"),
        ("x" * 300, "cannot be written: File name too long"),
        ("x" * 252, "cannot be written: File name too long"),
        ("file/b.tar", "cannot be written: Not a directory"),
        ("/proc/x.tar", "cannot be written: No such file or directory"),
    ],
)
def test_a_target_that_cannot_be_is_told_by_a_look(name: str, why: str, tmp_path: Path) -> None:
    """The name of 252 characters is one that the folder beside the bundle makes too long."""
    (tmp_path / "there").touch()
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=f"{name}: {why}") as raised:
        try_out(tmp_path / name)
    assert raised.value.next_step
    assert {path.name for path in tmp_path.iterdir()} == {"there", "file"}


def test_a_look_at_a_target_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try_out(tmp_path / "b.tar")
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(InputError, match=r"b\.tar: cannot be written: Permission denied"):
        try_out(tmp_path / "b.tar")


def test_a_target_is_looked_at_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundling, "read", lambda *_: inventory())
    monkeypatch.setattr(bundling, "provide", lambda *_, **__: pytest.fail("made"))
    with pytest.raises(Exit) as left:
        bundling.bundle("x", "", "auto", to=str(tmp_path / ("x" * 300)), from_="")
    assert left.value.code == InputError.exit_code
    assert "x: cannot be written: File name too long" in capfd.readouterr().err


def test_what_a_killed_writer_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path) -> None:
    store, target = Store(tmp_path / "there"), tmp_path / "b.tar"
    scratch = tmp_path / ".b.tar.part"
    scratch.mkdir()
    (scratch / "bundle.tar").write_text("half")
    (scratch / "wheels").mkdir()
    (scratch / "wheels" / "half.whl").write_text("half")
    held = os.open(scratch, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(PreflightError, match="another process writes it"):
        write(store, [], no_wheels, target, say=quiet)
    assert (scratch / "bundle.tar").read_text() == "half"
    os.close(held)

    def empty(folder: Path) -> list[Path]:
        return list(folder.iterdir())

    write(store, filled(store), empty, target, say=quiet)
    assert target.exists()
    assert not scratch.exists()


def test_a_disk_that_fills_up_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("lab.artifacts.bundle._add", full)
    with pytest.raises(FailedError, match=r"b.tar: cannot be written to its end: No space left on device"):
        write(Store(tmp_path / "there"), [], no_wheels, tmp_path / "b.tar", say=quiet)
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


PIP = """\
WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError('Failed to establish a new \
connection: [Errno -3] Temporary failure in name resolution')': /simple/aiohttp/
ERROR: No matching distribution found for aiohttp==3.14.5"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (PIP, r"the wheels of requirements.lock: its name cannot be resolved\n  next: check /etc/resolv"),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES", "DO NOT MATCH THE HASHES\n  next: less"),
    ],
)
def test_wheels_that_cannot_be_had_say_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, words: str
) -> None:
    def failing(*_: object, log: Path, **_named: object) -> None:
        raise CommandError("", "pip download", 1, output, next_step=f"less {log}")

    monkeypatch.setattr("lab.artifacts.programs.run", failing)
    with pytest.raises(FailedError, match=words):
        fetch_wheels(tmp_path, log=tmp_path / "wheels.log", say=quiet)


def test_room_is_looked_for_before_wheels_are_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = Store(tmp_path / "there")

    def fetched(_: Path) -> list[Path]:
        raise AssertionError("wheels were fetched")

    monkeypatch.setattr("lab.artifacts.bundle.shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(PreflightError):
        write(there, filled(there), fetched, tmp_path / "b.tar", say=quiet)
