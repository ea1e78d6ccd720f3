"""Long programs: output to a log, an error that shows its end, and no orphans."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.artifacts import programs
from lab.errors import CommandError, FailedError
from lab.waits import NotYet, wait_for
from tests.ended import ended
from tests.soon import SOON


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    programs.start_anew()
    yield
    programs.start_anew()


def test_output_goes_to_the_log_and_line_by_line_to_the_caller(tmp_path: Path) -> None:
    lines: list[str] = []
    programs.run(
        ["sh", "-c", "echo one; echo two >&2"],
        log=tmp_path / "logs" / "log",
        cwd=tmp_path,
        each_line=lines.append,
    )
    assert sorted(lines) == ["one", "two"]
    assert sorted((tmp_path / "logs" / "log").read_text().split()) == ["one", "two"]


def test_a_failure_shows_the_end_of_the_output_and_the_log(tmp_path: Path) -> None:
    script = "for i in $(seq 2000); do echo line $i; done; exit 3"
    with pytest.raises(CommandError) as raised:
        programs.run(["sh", "-c", script], log=tmp_path / "log", cwd=tmp_path)
    assert raised.value.code == 3
    assert "line 2000" in str(raised.value)
    assert "line 1000\n" not in str(raised.value)
    assert raised.value.next_step == f"less {tmp_path / 'log'}"


def test_the_environment_is_the_one_that_was_given(tmp_path: Path) -> None:
    lines: list[str] = []
    env = {"PATH": os.environ["PATH"], "GIVEN": "yes"}
    programs.run(["env"], log=tmp_path / "log", cwd=tmp_path, env=env, each_line=lines.append)
    assert {line for line in lines if not line.startswith(("_=", "PWD=", "SHLVL="))} == {
        f"PATH={env['PATH']}",
        "GIVEN=yes",
    }


def test_stopping_ends_what_runs_and_lets_nothing_start(tmp_path: Path) -> None:
    failures: list[Exception] = []

    def long() -> None:
        try:
            programs.run(["sh", "-c", "echo $$ > pid; exec sleep 600"], log=tmp_path / "log", cwd=tmp_path)
        except CommandError as error:
            failures.append(error)

    thread = threading.Thread(target=long)
    thread.start()
    wait_for("the program to run", lambda: pid_in(tmp_path / "pid"), seconds=SOON, interval=0.02)
    programs.stop_all()
    thread.join(SOON)
    assert len(failures) == 1
    with pytest.raises(FailedError, match="being stopped"):
        programs.run(["true"], log=tmp_path / "log", cwd=tmp_path)
    programs.start_anew()
    programs.run(["true"], log=tmp_path / "log", cwd=tmp_path)


def run_long(folder: Path) -> None:
    programs.run(["sh", "-c", "echo $$ > pid; exec sleep 600"], log=folder / "log", cwd=folder)


def test_a_program_dies_with_us_even_when_we_are_killed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=run_long, args=(tmp_path,))
    process.start()
    pid = wait_for("the program to run", lambda: pid_in(tmp_path / "pid"), seconds=SOON, interval=0.02)
    process.kill()
    process.join()
    wait_for("the program to be gone", lambda: ended(pid), seconds=SOON, interval=0.02)


def pid_in(path: Path) -> int:
    if not path.exists() or not path.read_text().strip():
        raise NotYet("no pid yet")
    return int(path.read_text())


def test_a_program_that_is_watched_is_killed_with_what_was_said_of_it(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="too slow") as raised:
        programs.run(["sleep", "600"], log=tmp_path / "log", cwd=tmp_path, watch=lambda: "too slow")
    assert raised.value.code == -9
    assert (tmp_path / "log").read_text() == "too slow"


def test_waiting_ends_when_the_work_is_stopped() -> None:
    programs.stop_all()
    with pytest.raises(FailedError, match="being stopped"):
        programs.pause(600)
