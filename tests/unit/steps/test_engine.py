"""Steps: their order, what a failure and a Ctrl-C do to the others, and the timeline they leave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.console import Console
from lab.errors import CommandError, FailedError
from lab.runs import Run
from lab.steps import engine
from lab.steps.engine import Step, Stopped, execute

SOON = 20.0
"""Seconds after which a wait of a test has failed."""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    made = Run(tmp_path, "test", "build")
    yield made
    made.close()


def nothing() -> tuple[bool, str]:
    return False, ""


def step(key: str, *needs: str, does: Callable[[], tuple[bool, str]] = nothing) -> Step:
    phase, _, host = key.partition(":")
    return Step(phase, host, phase, frozenset(needs), does)


class Notes:
    """Which steps ran, in which order."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def step(self, key: str, *needs: str, changed: bool = False) -> Step:
        def does() -> tuple[bool, str]:
            self.ran.append(key)
            return changed, ""

        return step(key, *needs, does=does)


def done(steps: list[Step], run: Run, stop: threading.Event | None = None) -> bool:
    return execute(steps, Console(), run, stop or threading.Event())


def test_a_step_runs_after_all_that_it_needs_whatever_the_order_of_the_list(run: Run) -> None:
    notes = Notes()
    done([notes.step("c", "a", "b"), notes.step("b", "a"), notes.step("a")], run)
    assert notes.ran == ["a", "b", "c"]


def test_independent_steps_run_at_the_same_time(run: Run) -> None:
    meeting = threading.Barrier(3)

    def meets() -> tuple[bool, str]:
        meeting.wait(timeout=SOON)
        return False, ""

    done([step(f"join:w{number}", does=meets) for number in range(3)], run)


def test_it_tells_whether_anything_was_changed(run: Run) -> None:
    notes = Notes()
    assert not done([notes.step("a"), notes.step("b")], run)
    assert done([notes.step("a"), notes.step("b", changed=True)], run)
    assert not done([], run)


def test_a_failure_starts_nothing_more_lets_the_running_end_and_is_raised(run: Run) -> None:
    notes, started, released = Notes(), threading.Event(), threading.Event()
    stop = threading.Event()

    def slow() -> tuple[bool, str]:
        started.set()
        assert released.wait(SOON)
        notes.ran.append("slow")
        return True, ""

    def fails() -> tuple[bool, str]:
        assert started.wait(SOON)
        threading.Timer(0.05, released.set).start()
        raise FailedError("no good")

    steps = [step("slow", does=slow), step("bad", does=fails), notes.step("after", "slow")]
    with pytest.raises(FailedError, match="no good"):
        done(steps, run, stop)
    assert notes.ran == ["slow"]
    assert stop.is_set()


def test_the_first_failure_is_told_and_not_the_stop_that_it_caused(run: Run) -> None:
    stop = threading.Event()

    def waits() -> tuple[bool, str]:
        assert stop.wait(SOON)
        raise Stopped

    def fails() -> tuple[bool, str]:
        raise CommandError("master-1", "kubeadm", 1, "it went wrong")

    with pytest.raises(CommandError, match="it went wrong"):
        done([step("waits", does=waits), step("bad", does=fails)], run, stop)


def test_a_failure_beats_a_stop_that_came_first(run: Run) -> None:
    def stops() -> tuple[bool, str]:
        raise Stopped

    def fails() -> tuple[bool, str]:
        raise FailedError("the reason")

    with pytest.raises(FailedError, match="the reason"):
        done([step("a", does=stops), step("b", does=fails)], run)


def test_a_defect_of_ours_is_raised_as_it_is(run: Run) -> None:
    def broken() -> tuple[bool, str]:
        raise KeyError("host")

    with pytest.raises(KeyError):
        done([step("a", does=broken)], run)


def test_ctrl_c_sets_stop_so_that_running_steps_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, ended = threading.Event(), threading.Event()

    def waits() -> tuple[bool, str]:
        assert stop.wait(SOON)
        ended.set()
        raise Stopped

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "wait", interrupted)
    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        done([step("waits", does=waits), notes.step("after", "waits")], run, stop)
    assert ended.is_set()
    assert notes.ran == []


def test_a_step_that_needs_a_step_that_does_not_exist_is_a_defect(run: Run) -> None:
    with pytest.raises(AssertionError, match="nowhere"):
        done([step("a", "nowhere")], run)


def test_the_timeline_tells_phase_host_start_end_change_and_error(run: Run) -> None:
    def fails() -> tuple[bool, str]:
        raise FailedError("token abcdef.0123456789abcdef refused")

    notes = Notes()
    steps = [
        notes.step("machine:m1", changed=True),
        notes.step("api", "machine:m1"),
        step("bad", "api", does=fails),
    ]
    with pytest.raises(FailedError):
        done(steps, run)
    timeline = json.loads((run.folder / "timeline.json").read_text())
    assert timeline["command"] == "build"
    told = [(item["phase"], item["host"], item["changed"]) for item in timeline["events"]]
    assert told == [("machine", "m1", True), ("api", "", False), ("bad", "", False)]
    times = [moment for item in timeline["events"] for moment in (item["start"], item["end"])]
    assert times == sorted(times)
    assert timeline["events"][2]["error"] == "token <token> refused"


def test_a_killed_run_leaves_the_timeline_of_what_had_begun(run: Run) -> None:
    seen = {}

    def looks() -> tuple[bool, str]:
        seen.update(json.loads((run.folder / "timeline.json").read_text())["events"][0])
        return False, ""

    done([step("init:m1", does=looks)], run)
    assert (seen["phase"], seen["host"], seen["end"]) == ("init", "m1", None)


def test_a_remark_is_shown_as_written_though_it_may_look_like_markup(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    done([step("a", does=lambda: (True, "write [/etc/x] [default]"))], run)
    assert "(write [/etc/x] [default])" in capsys.readouterr().out


def test_lines_name_the_host_the_title_and_the_remark(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    done([step("join:worker-1", does=lambda: (True, "dead etcd member removed"))], run)
    line = capsys.readouterr().out
    assert "worker-1" in line
    assert "join: 0.0 s (dead etcd member removed)" in line
