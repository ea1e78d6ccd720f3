"""What people see: plain lines with time and host, live lines on a terminal, everything in the log."""

from __future__ import annotations

import io
import re
import threading

import pytest
from rich.console import Console as RichConsole

from lab import console as module
from lab.console import Console, fail
from lab.waits import NotYet, wait_for
from tests.fakes import FakeClock
from tests.soon import SOON


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Of the console: it stands still until the test moves it."""
    made = FakeClock()
    monkeypatch.setattr(module, "time", made)
    return made


def test_a_line_starts_with_the_seconds_and_the_host(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture, clock: FakeClock
) -> None:
    caplog.set_level("DEBUG", logger="plumbline")
    with Console() as console:
        console.say("kubeadm join: 3.1 s", "worker-1")
        clock.now += 61.25
        console.say("all done")
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +0\.0s  worker-1     kubeadm join: 3\.1 s", first)
    assert re.fullmatch(r" +61\.2s +all done", second)
    assert [record.getMessage() for record in caplog.records] == ["worker-1: kubeadm join: 3.1 s", "all done"]


def test_nothing_moves_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console, console.working("boot:m1", "m1: boot"):
        console.note("boot:m1", "waiting")
    assert capsys.readouterr().out == ""


def test_where_there_is_no_terminal_a_line_a_minute_says_what_runs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    with Console() as console, console.working("verify node", "verify node"):
        console.note("verify node", "12 of 80 test_x[worker-1]")
        said = heard(capsys)
    assert re.search(r"s +verify node, for \d+ s: 12 of 80 test_x\[worker-1\]\n", said)


def heard(capsys: pytest.CaptureFixture[str]) -> str:
    """What is printed, as soon as anything is."""

    def printed() -> str:
        if said := capsys.readouterr().out:
            return said
        raise NotYet("nothing")

    return wait_for("a line about what runs", printed, seconds=SOON, interval=0.01)


@pytest.mark.usefixtures("clock")
def test_a_minute_in_which_nothing_runs_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.beat()
    assert capsys.readouterr().out == ""
    with console.working("a", "m1: [boot]"), console.working("b", "m2: boot"):
        console.beat()
    assert "m1: [boot], for 0 s: at work; 1 more at work" in capsys.readouterr().out


def test_a_terminal_has_its_live_part_and_no_line_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.0)
    console = Console()
    console.rich._force_terminal = True
    console.rich.file = io.StringIO()
    beats: list[str] = []
    monkeypatch.setattr(console, "beat", lambda: beats.append("beat"))
    before = set(threading.enumerate())  # a console of another test may be about to end
    with console, console.working("a", "work"):
        assert set(threading.enumerate()) <= before | {console._live._refresh_thread}
    assert beats == []


def test_a_state_is_logged_once_until_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="plumbline")
    console = Console()
    with console.working("boot:m1", "m1: boot"):
        for state in ("refused", "refused", "up", "refused"):
            console.note("boot:m1", state)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["begin boot:m1: m1: boot", "boot:m1: refused", "boot:m1: up", "boot:m1: refused"]


def test_a_note_of_work_that_has_ended_does_not_come_back() -> None:
    console = Console()
    with console.working("a", "work a"):
        pass
    console.note("a", "late")
    assert seen(console) == ""


def seen(console: Console) -> str:
    """The live part as text."""
    out = io.StringIO()
    RichConsole(file=out, width=100).print(console._table())
    return out.getvalue().strip()


def test_running_work_is_shown_with_its_last_state_until_it_ends_or_fails() -> None:
    console = Console()
    with pytest.raises(ValueError, match="no"), console.working("a", "m1: first boot"):
        console.note("a", "No route to host")
        assert "m1: first boot No route to host" in seen(console)
        raise ValueError("no")
    assert seen(console) == ""


@pytest.mark.parametrize(
    "state", ["[wait-control-plane] Waiting for kubelet", "see [/etc/kubernetes]", "[red]"]
)
def test_a_state_is_shown_as_written_though_it_may_look_like_markup(state: str) -> None:
    console = Console()
    with console.working("a", "[m1]: init"):
        console.note("a", state)
        assert f"[m1]: init {state}" in seen(console)


def test_the_live_part_is_taken_off_at_the_end_also_after_an_error() -> None:
    console = Console()
    console.rich._force_terminal = True
    console.rich.file = io.StringIO()
    with pytest.raises(ValueError, match="no"), console:
        assert console._live.is_started
        raise ValueError("no")
    assert not console._live.is_started


def test_a_failure_goes_to_standard_error_alone(capsys: pytest.CaptureFixture[str]) -> None:
    fail("error: [/etc/x] refused")
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err == "error: [/etc/x] refused\n"
