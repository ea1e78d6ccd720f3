"""What people see: plain lines with time and host, live lines on a terminal, everything in the log."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console as RichConsole

from lab.console import Console, fail


def test_a_line_starts_with_the_seconds_and_the_host(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="plumbline")
    with Console() as console:
        console.say("kubeadm join: 3.1 s", "worker-1")
        console.say("all done")
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r" +0\.\ds  worker-1     kubeadm join: 3\.1 s", first)
    assert re.fullmatch(r" +0\.\ds +all done", second)
    assert [record.getMessage() for record in caplog.records] == ["worker-1: kubeadm join: 3.1 s", "all done"]


def test_nothing_moves_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Console() as console, console.working("boot:m1", "m1: boot"):
        console.note("boot:m1", "waiting")
    assert capsys.readouterr().out == ""


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
