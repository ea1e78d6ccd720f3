"""Stages of steps, the plan that they are, and the timeline that they leave."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from lab.console import Console
from lab.errors import FailedError, PreflightError
from lab.runs import Run
from lab.steps.engine import Engine, Stages, StepsFailedError, listed, something_to_do
from tests.unit.steps.noted import Notes, done, refused, step

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


# --- the timeline


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
