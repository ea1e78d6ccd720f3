"""destroy asks where something is worth it, and its question has the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.unit.core.site import PROD, TOY, Site, disposable
from tests.unit.core.terminal import CTRL_C, CTRL_D, Terminal


def test_a_lab_that_is_kept_is_removed_after_its_name_was_typed(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.answers = ["test"]
    assert site.destroy() == 0
    assert set(site.removed()) == set(PROD.hosts)
    assert "6 machines (haproxy, master-1" in capfd.readouterr().out


@pytest.mark.parametrize("said", ["y", "yes", "Test", "rehearsal", ""])
def test_any_other_answer_removes_nothing(site: Site, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    site.answers = [said]
    assert site.destroy() == 2
    assert site.removed() == []
    assert "nothing was changed" in capfd.readouterr().err


@pytest.mark.parametrize("stopped", [KeyboardInterrupt(), EOFError()], ids=["ctrl-c", "ctrl-d"])
def test_who_stops_at_the_question_has_removed_nothing(
    site: Site, stopped: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    site.answers = [stopped]
    assert site.destroy() == 130
    assert site.removed() == []
    told = capfd.readouterr().err
    assert "stopped: nothing was changed" in told
    assert "goes on there" not in told


def test_without_a_terminal_the_next_command_is_told(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.terminal = False
    assert site.destroy() == 2
    assert site.removed() == []
    assert "next: invoke destroy --yes test\n" in capfd.readouterr().err
    assert site.destroy(host="worker-1") == 2
    assert "next: invoke destroy --host worker-1 --yes test\n" in capfd.readouterr().err
    assert site.destroy(yes="test") == 0
    assert set(site.removed()) == set(PROD.hosts)
    assert site.asked == []


def test_the_yes_of_another_lab_is_refused(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.destroy(yes="rehearsal") == 2
    assert site.removed() == []
    assert "--yes: rehearsal: must be the name of the lab, which is test" in capfd.readouterr().err


def test_where_nothing_is_nothing_is_asked(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.destroy(yes="test") == 0
    site.terminal = False
    assert site.destroy() == 0
    assert "nothing to remove" in capfd.readouterr().out
    assert site.destroy(host="master-1") == 0
    assert "there is no such machine" in capfd.readouterr().out


@disposable
def test_a_disposable_lab_is_removed_unasked(site: Site) -> None:
    site.terminal = False
    assert site.destroy() == 0
    assert set(site.removed()) == set(TOY.hosts)
    assert site.asked == []


def test_one_machine_of_a_lab_that_is_kept_asks_too(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    site.answers = ["no"]
    assert site.destroy(host="worker-1") == 2
    assert site.removed() == []
    site.answers = ["test"]
    assert site.destroy(host="worker-1") == 0
    assert site.removed() == ["worker-1"]
    assert "1 machine (worker-1) would be removed" in capfd.readouterr().out


# --- a real terminal

PROGRAM = """
from contextlib import contextmanager
from pathlib import Path
import sys
from invoke.exceptions import Exit
from lab.commands import operating
from lab.commands.session import Session
from lab.console import Console
from lab.labs import Lab
from lab.machines import State
from lab.runs import Run
from tests.fakes import FakeProvider
from tests.world import inventory

found, folder = inventory(), Path(sys.argv[1])
lab = Lab(found, folder, FakeProvider(states=dict.fromkeys(found.hosts, State.RUNNING)))

@contextmanager
def session(*_, **__):
    with Console() as console:
        yield Session(found, lab, console, Run(folder, found.lab, "destroy"))

operating.session = session
try:
    operating.operate("destroy", "test", "", False)
except Exit as left:
    sys.exit(left.code)
"""


@pytest.mark.parametrize(
    ("keys", "code", "told"),
    [
        ("test\n", 0, "test: removed"),
        ("rehearsal\n", 2, "nothing was changed: the answer was rehearsal"),
        ("tesx\x7ft\n", 0, "test: removed"),
        (CTRL_C, 130, "stopped: nothing was changed"),
        (CTRL_D, 130, "stopped: nothing was changed"),
    ],
    ids=["its name", "another", "corrected", "ctrl-c", "ctrl-d"],
)
def test_the_question_has_the_terminal_for_itself(tmp_path: Path, keys: str, code: int, told: str) -> None:
    env = {"PLUMBLINE_DATA": str(tmp_path), "PLUMBLINE_CACHE": str(tmp_path / "cache"), "TERM": "xterm"}
    terminal = Terminal([sys.executable, "-c", PROGRAM, str(tmp_path)], env)
    terminal.until("6 machines (haproxy, master-1")
    terminal.until("Type the name of the lab to go on [test]: ")
    terminal.type(keys)
    assert terminal.end() == code
    assert told in terminal.text
    assert "Traceback" not in terminal.text
