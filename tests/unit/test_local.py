"""Programs on this machine: output, exit codes, deadlines."""

from __future__ import annotations

import importlib
import os
import subprocess
from pathlib import Path
from typing import BinaryIO

import pytest

import lab
from lab.errors import CommandError, FailedError, PreflightError
from lab.local import own_folder, poured, run, unwritable
from lab.waits import wait_for
from tests.ended import ended
from tests.soon import SOON, late_once_begun


def test_output_and_input_are_text() -> None:
    done = run(["sh", "-c", "cat; echo wrong >&2"], timeout=SOON, input="für\n")
    assert (done.code, done.stdout, done.stderr) == (0, "für\n", "wrong\n")


def test_bytes_that_are_no_text_do_not_break_it() -> None:
    assert run(["printf", r"\377ok"], timeout=SOON).stdout.endswith("ok")


def test_another_exit_code_is_an_error_that_shows_command_and_output() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo no such thing >&2; exit 3"], timeout=SOON)
    assert caught.value.code == 3
    assert "no such thing" in str(caught.value)
    assert "sh -c" in str(caught.value)


def test_unchecked_exit_code_is_given_back() -> None:
    assert run(["sh", "-c", "exit 3"], timeout=SOON, check=False).code == 3


def test_a_missing_program_is_named() -> None:
    with pytest.raises(FailedError, match="no-such-program"):
        run(["no-such-program"], timeout=SOON)


def test_a_deadline_ends_the_children_too_and_tells_the_last_line(tmp_path: Path) -> None:
    note = tmp_path / "child"
    script = f"sleep 600 & echo working; echo $! >{note}.new; mv {note}.new {note}; wait"
    late = late_once_begun(note, lambda seconds: run(["sh", "-c", script], timeout=seconds))
    assert late.last == "working"
    child = int(note.read_text())
    wait_for("the program's child to end", lambda: ended(child), seconds=SOON, interval=0.02)


def test_it_reads_from_nowhere_without_input() -> None:
    assert run(["cat"], timeout=SOON).stdout == ""


def test_what_is_poured_arrives_whole_whatever_its_size() -> None:
    content = os.urandom(1 << 20)
    with poured(lambda stream: stream.write(content)) as stream:
        assert subprocess.run(["cat"], stdin=stream, capture_output=True, check=True).stdout == content


def test_a_reader_that_ends_early_ends_the_pouring_and_says_why_itself() -> None:
    def write(stream: BinaryIO) -> None:
        while True:
            stream.write(bytes(1 << 16))

    with pytest.raises(subprocess.CalledProcessError), poured(write) as stream:
        subprocess.run(["sh", "-c", "head -c 100 >/dev/null; exit 3"], stdin=stream, check=True)


def test_what_cannot_be_poured_is_the_cause_of_what_the_reader_says(tmp_path: Path) -> None:
    def write(stream: BinaryIO) -> None:
        stream.write(b"half")
        stream.write((tmp_path / "gone").read_bytes())

    with pytest.raises(FileNotFoundError, match="gone"), poured(write) as stream:
        subprocess.run(["sh", "-c", "cat >/dev/null; exit 3"], stdin=stream, check=True)


def test_the_environment_can_be_replaced() -> None:
    path = os.environ["PATH"]
    assert run(["env"], timeout=SOON, env={"PATH": path}).stdout == f"PATH={path}\n"


def test_programs_of_the_system_are_found_whatever_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/sbin")
    importlib.reload(lab)
    assert os.environ["PATH"] == "/usr/local/bin:/usr/bin:/sbin:/usr/sbin"
    importlib.reload(lab)
    assert os.environ["PATH"] == "/usr/local/bin:/usr/bin:/sbin:/usr/sbin", "added once"


def test_a_folder_that_can_be_made_is_not_made_by_a_look(tmp_path: Path) -> None:
    assert unwritable(tmp_path / "a" / "b") == ""
    assert not (tmp_path / "a").exists()
    own_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("below", ["file", "file/x/lab"])
def test_a_folder_below_a_file_is_refused_with_the_variable(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("")
    assert unwritable(tmp_path / below) == f"{tmp_path}/file: Not a directory"
    with pytest.raises(PreflightError, match=f"{below}: the lab's keys cannot be kept there: ") as refused:
        own_folder(tmp_path / below)
    assert "PLUMBLINE_DATA=" in refused.value.next_step


@pytest.mark.parametrize("above", ["", "new/", "loop/"])
def test_a_folder_that_can_never_be_is_told_by_a_look(tmp_path: Path, above: str) -> None:
    """Also below one that is still to be made: the system would only then refuse the name."""
    (tmp_path / "loop").symlink_to("loop")
    why = "Too many levels of symbolic links" if above == "loop/" else "File name too long"
    for name in ("x" * 256, "ü" * 128):
        folder = tmp_path / above / name
        assert unwritable(folder).endswith(why)
        with pytest.raises(PreflightError, match="the lab's keys cannot be kept there: "):
            own_folder(folder)
    if above != "loop/":
        assert unwritable(tmp_path / above / ("x" * 255)) == ""


def test_a_folder_where_nothing_can_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere but on a read-only disk
    assert unwritable(tmp_path / "new") == f"{tmp_path}: cannot be written"
    with pytest.raises(PreflightError, match="cannot be written"):
        own_folder(tmp_path)
