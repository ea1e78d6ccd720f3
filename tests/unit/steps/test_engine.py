"""Steps: their order, what a failure and a Ctrl-C do to the others, and the timeline they leave."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lab.console import Console
from lab.errors import DeadlineError, FailedError, PreflightError
from lab.runs import Run
from lab.steps import engine as module
from lab.steps.engine import Engine, Stages, Step, StepsFailedError, Stopped, listed, something_to_do
from tests.soon import SOON


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


def done(steps: list[Step], run: Run, engine: Engine | None = None) -> bool:
    return (engine or Engine(Console(), run)).execute(iter([steps]))


def refused() -> tuple[bool, str]:
    raise FailedError("no good", next_step="invoke status")


def late() -> tuple[bool, str]:
    raise DeadlineError("pods", 3, "none")


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


def test_a_step_may_run_after_another_that_failed(run: Run) -> None:
    notes = Notes()
    steps = [step("bad", does=refused), replace(notes.step("next"), after=frozenset({"bad"}))]
    with pytest.raises(StepsFailedError, match="no good"):
        done(steps, run)
    assert notes.ran == ["next"]


def test_a_failure_leaves_undone_what_needs_it_and_nothing_else(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    notes = Notes()
    steps = [
        notes.step("last", "after:m1"),
        notes.step("after:m1", "bad:m1"),
        step("bad:m1", does=refused),
        notes.step("other"),
        notes.step("then", "other"),
    ]
    with pytest.raises(StepsFailedError) as failed:
        done(steps, run)
    assert notes.ran == ["other", "then"]
    assert str(failed.value).splitlines() == [
        "no good",
        "  not done: m1: after: m1: bad: failed",
        "  not done: last: m1: after: not done",
        "  next: invoke status",
    ]
    told = capsys.readouterr().out
    assert "bad: failed: no good" in told
    assert "after: not done: m1: bad: failed" in told


def test_a_host_is_named_once(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    def no_answer() -> tuple[bool, str]:
        raise FailedError("m1: no answer")

    with pytest.raises(StepsFailedError, match="\n  m1: boot: no answer"):
        done([step("boot:m1", does=no_answer), step("b:m2", does=refused)], run)
    assert "boot: failed: no answer" in capsys.readouterr().out


def test_every_failure_is_told(run: Run) -> None:
    steps = [step("a:m1", does=refused), step("b:m2", does=late), step("c", does=nothing)]
    with pytest.raises(StepsFailedError) as failed:
        done(steps, run)
    head, *rest = str(failed.value).splitlines()
    assert head == "2 steps failed:"
    assert sorted(rest) == [
        "  m1: a: no good",
        "  m2: b: pods: not within 3 s; last seen: none",
        "  next: invoke status",
    ]


@pytest.mark.parametrize(
    ("kinds", "code"),
    [((refused,), 1), ((late,), 4), ((late, late), 4), ((late, refused), 1)],
    ids=["failed", "late", "late twice", "both"],
)
def test_the_exit_code_is_that_of_the_failures_where_they_agree(
    run: Run, kinds: tuple[Callable[[], tuple[bool, str]], ...], code: int
) -> None:
    steps = [step(f"bad:m{number}", does=does) for number, does in enumerate(kinds)]
    with pytest.raises(StepsFailedError) as failed:
        done(steps, run)
    assert failed.value.exit_code == code


def test_a_step_may_look_what_became_of_the_others(run: Run) -> None:
    engine, seen = Engine(Console(), run), set[str]()

    def looks() -> tuple[bool, str]:
        seen.update(engine.lost)
        return False, ""

    first = [step("join:m1", does=refused), step("then:m1", "join:m1"), step("join:m2")]
    ends = replace(step("nodes", does=looks), after=frozenset(item.key for item in first))
    with pytest.raises(StepsFailedError):
        done([*first, ends], run, engine)
    assert seen == {"join:m1", "then:m1"}


# --- stages


def test_a_stage_begins_when_the_one_before_it_has_ended(run: Run) -> None:
    notes = Notes()

    def stages() -> Stages:
        yield [notes.step("a"), notes.step("b")]
        notes.ran.append("facts")
        yield [notes.step("c", "a")]

    assert not Engine(Console(), run).execute(stages())
    assert sorted(notes.ran[:2]) == ["a", "b"]
    assert notes.ran[2:] == ["facts", "c"]


def test_a_later_stage_goes_on_without_what_failed_before(run: Run) -> None:
    notes = Notes()

    def stages() -> Stages:
        yield [step("host:m1", does=refused), notes.step("host:m2")]
        yield [notes.step("join:m1", "host:m1"), notes.step("join:m2", "host:m2")]

    with pytest.raises(StepsFailedError, match="no good\n  not done: m1: join: m1: host: failed"):
        Engine(Console(), run).execute(stages())
    assert notes.ran == ["host:m2", "join:m2"]


def test_a_decision_that_is_refused_is_told_beside_what_failed_before(run: Run) -> None:
    def stages() -> Stages:
        yield [step("host:m1", does=refused)]
        raise PreflightError("m2: cannot be looked at")

    with pytest.raises(StepsFailedError) as failed:
        Engine(Console(), run).execute(stages())
    assert "m1: host: no good\n  what comes next: m2: cannot be looked at" in failed.value.message


def test_a_decision_that_is_refused_is_raised_as_it_is(run: Run) -> None:
    def stages() -> Stages:
        yield [step("host:m1")]
        raise PreflightError("m2: cannot be looked at")

    with pytest.raises(PreflightError, match="m2: cannot"):
        Engine(Console(), run).execute(stages())


def test_what_a_step_enters_holds_for_the_steps_after_it(run: Run) -> None:
    threads: dict[str, int] = {}

    def where(key: str) -> Callable[[], tuple[bool, str]]:
        def look() -> tuple[bool, str]:
            threads[key] = threading.get_ident()
            return False, ""

        return look

    steps = [replace(step("enter", does=where("enter")), enters=True), step("a", "enter", does=where("a"))]
    done(steps, run)
    assert threads["enter"] == threading.get_ident()
    assert threads["a"] != threads["enter"]


def test_a_step_that_enters_and_fails_is_a_failure_like_any_other(run: Run) -> None:
    with pytest.raises(StepsFailedError, match="no good"):
        done([replace(step("enter", does=refused), enters=True), step("a", "enter")], run)


# --- plans


def test_a_plan_is_the_list_of_all_stages_of_which_nothing_is_run(run: Run) -> None:
    def stages() -> Stages:
        yield [step("a", does=refused)]
        yield [step("b", "a", does=refused)]

    assert [item.key for item in listed(stages())] == ["a", "b"]
    assert run.events == []


def test_there_is_something_to_do_where_a_step_says_so_or_cannot_tell() -> None:
    waits = step("api")
    assert not something_to_do([waits])
    assert something_to_do([waits, replace(waits, will=("write /etc/hosts",))])
    assert something_to_do([waits, replace(waits, unknown=FailedError("no answer"))])


def test_a_change_that_no_plan_said_is_noted(run: Run) -> None:
    notes = Notes()
    done([notes.step("a", changed=True), replace(notes.step("b", changed=True), will=("write b",))], run)
    log = (run.folder / "debug.log").read_text()
    assert "a: changed something that its plan did not say" in log
    assert "b: changed something" not in log


# --- the end of an operation


def test_running_steps_end_when_a_defect_of_ours_stops_the_rest(run: Run) -> None:
    notes, started = Notes(), threading.Event()
    engine = Engine(Console(), run)

    def slow() -> tuple[bool, str]:
        started.set()
        assert engine.stop.wait(SOON)
        notes.ran.append("slow")
        raise Stopped

    def broken() -> tuple[bool, str]:
        assert started.wait(SOON)
        raise KeyError("host")

    steps = [step("slow", does=slow), step("bad", does=broken), notes.step("after", "slow")]
    with pytest.raises(KeyError):
        done(steps, run, engine)
    assert notes.ran == ["slow"]


def test_a_failure_beats_a_stop(run: Run) -> None:
    def stops() -> tuple[bool, str]:
        raise Stopped

    with pytest.raises(StepsFailedError, match="no good"):
        done([step("a", does=stops), step("b", does=refused)], run)


def test_a_defect_of_ours_is_raised_as_it_is(run: Run) -> None:
    def broken() -> tuple[bool, str]:
        raise KeyError("host")

    with pytest.raises(KeyError):
        done([step("a", does=broken)], run)


def test_ctrl_c_sets_stop_so_that_running_steps_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, ended = Engine(Console(), run), threading.Event()

    def waits() -> tuple[bool, str]:
        assert engine.stop.wait(SOON)
        ended.set()
        raise Stopped

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "wait", interrupted)
    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        done([step("waits", does=waits), notes.step("after", "waits")], run, engine)
    assert ended.is_set()
    assert notes.ran == []


@pytest.mark.parametrize(
    "steps",
    [
        [step("a", "nowhere")],
        [replace(step("a"), after=frozenset({"nowhere"}))],
        [step("a"), step("a")],
    ],
    ids=["needs", "after", "twice"],
)
def test_a_list_that_cannot_be_worked_off_is_a_defect_of_the_plan_too(run: Run, steps: list[Step]) -> None:
    for work in (lambda: done(steps, run), lambda: listed(iter([steps]))):
        with pytest.raises(LookupError):
            work()


def test_steps_that_wait_for_each_other_are_a_defect(run: Run) -> None:
    with pytest.raises(LookupError, match="wait for each other: \\['a', 'b'\\]"):
        done([step("a", "b"), step("b", "a"), step("c")], run)


def test_the_timeline_tells_phase_host_start_end_change_and_error(run: Run) -> None:
    def fails() -> tuple[bool, str]:
        raise FailedError("token abcdef.0123456789abcdef refused")

    notes = Notes()
    steps = [
        notes.step("machine:m1", changed=True),
        notes.step("api", "machine:m1"),
        step("bad", "api", does=fails),
    ]
    with pytest.raises(StepsFailedError):
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
    assert re.search(r"worker-1 +join: \d+\.\d s \(dead etcd member removed\)", line)
