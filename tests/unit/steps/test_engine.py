"""Steps: their order, and what a failure and a Ctrl-C do to the others."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.console import Console
from lab.errors import FailedError
from lab.runs import Run
from lab.steps import engine as module
from lab.steps.engine import Engine, Step, StepsFailedError, Stopped, listed
from tests.soon import SOON
from tests.unit.steps.noted import Notes, done, late, nothing, refused, step


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
