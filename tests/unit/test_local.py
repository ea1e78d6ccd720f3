"""Programs on this machine: output, exit codes, deadlines."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from lab.errors import CommandError, DeadlineError, FailedError
from lab.local import run


def test_output_and_input_are_text() -> None:
    done = run(["sh", "-c", "cat; echo wrong >&2"], timeout=5, input="für\n")
    assert (done.code, done.stdout, done.stderr) == (0, "für\n", "wrong\n")


def test_bytes_that_are_no_text_do_not_break_it() -> None:
    assert run(["printf", r"\377ok"], timeout=5).stdout.endswith("ok")


def test_another_exit_code_is_an_error_that_shows_command_and_output() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo no such thing >&2; exit 3"], timeout=5)
    assert caught.value.code == 3
    assert "no such thing" in str(caught.value)
    assert "sh -c" in str(caught.value)


def test_unchecked_exit_code_is_given_back() -> None:
    assert run(["sh", "-c", "exit 3"], timeout=5, check=False).code == 3


def test_a_missing_program_is_named() -> None:
    with pytest.raises(FailedError, match="no-such-program"):
        run(["no-such-program"], timeout=5)


def test_a_deadline_ends_the_children_too_and_tells_the_last_line(tmp_path: Path) -> None:
    note = tmp_path / "child"
    script = f"sleep 60 & echo $! >{note}; echo working; wait"
    started = time.monotonic()
    with pytest.raises(DeadlineError) as caught:
        run(["sh", "-c", script], timeout=0.3)
    assert time.monotonic() - started < 5
    assert caught.value.last == "working"
    child = int(note.read_text())
    stat = Path(f"/proc/{child}/stat")
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


def test_it_reads_from_nowhere_without_input() -> None:
    assert run(["cat"], timeout=5).stdout == ""


def test_the_environment_can_be_replaced() -> None:
    path = os.environ["PATH"]
    assert run(["env"], timeout=5, env={"PATH": path}).stdout == f"PATH={path}\n"
