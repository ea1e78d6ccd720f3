"""Tasks of Proxmox VE: followed to their end, asked seldom."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import pytest

from lab.errors import DeadlineError, FailedError
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.retry import ProxmoxApiError
from lab.providers.proxmox.tasks import Pacer, Tasks, Upid
from tests.fakes import FakeClock

UPID = "UPID:pve-1:0000A1B2:00C3D4E5:65A1B2C3:qmclone:9000:plumbline@pve!build:"


class Script:
    """Answers of a task's status in turn, the last for ever; its log."""

    def __init__(self, *answers: Any, log: tuple[str, ...] = ()) -> None:
        self.answers, self.lines, self.asked = list(answers), log, 0

    def once(self, path: str) -> Any:
        assert path == f"nodes/pve-1/tasks/{UPID}/status"
        self.asked += 1
        given = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(given, Exception):
            raise given
        return given

    def get(self, path: str, **_: Any) -> Any:
        assert path.endswith("/log")
        return [{"n": number, "t": line} for number, line in enumerate(self.lines)]


def follow(script: Script, said: list[str] | None = None, seconds: float = 60) -> None:
    told = said if said is not None else []
    Tasks(cast("ProxmoxApi", script), told.append).follow(UPID, seconds=seconds)


STOPPED = {"status": "stopped"}


def test_c20_a_task_that_ends_well() -> None:
    script = Script({"status": "running"}, {"status": "running"}, STOPPED | {"exitstatus": "OK"})
    follow(script)
    assert script.asked == 3


def test_c20_warnings_are_reported_with_the_line_of_the_log_and_are_no_failure() -> None:
    said: list[str] = []
    script = Script(STOPPED | {"exitstatus": "WARNINGS: 1"}, log=("begin", "WARN: no such bridge", "TASK W"))
    follow(script, said)
    assert said == ["task qmclone 9000 on pve-1: WARNINGS: 1: WARN: no such bridge"]


def test_c20_a_failure_has_its_text_the_log_s_tail_and_the_node() -> None:
    lines = tuple(f"line {number}" for number in range(40))
    with pytest.raises(FailedError, match=r"on pve-1 failed: clone failed: no space left") as failed:
        follow(Script(STOPPED | {"exitstatus": "clone failed: no space left"}, log=lines))
    assert "line 39" in failed.value.message
    assert "line 27" not in failed.value.message
    assert UPID in failed.value.next_step


def test_c20_a_task_without_a_status_is_a_failure() -> None:
    with pytest.raises(FailedError, match="ended without a status"):
        follow(Script(STOPPED))


def test_c20_a_task_that_never_ends_is_a_deadline_that_names_it_and_is_asked_seldom() -> None:
    script = Script({"status": "running"}, log=("still copying",))
    with pytest.raises(DeadlineError, match=r"task qmclone 9000 on pve-1: not within 300 s.*still copying"):
        follow(script, seconds=300)
    assert script.asked < 150


def test_c20_a_task_may_be_unknown_when_it_is_new_and_not_later() -> None:
    missing_task = ProxmoxApiError("GET x", 400, "Parameter verification failed.", {"upid": "no such task"})
    follow(Script(missing_task, {"status": "running"}, STOPPED | {"exitstatus": "OK"}))
    with pytest.raises(ProxmoxApiError, match="no such task"):
        follow(Script(missing_task))


def test_tasks_together_are_asked_at_a_bounded_rate(clock: FakeClock) -> None:
    pacer, passed = Pacer(25), []
    for _ in range(100):
        clock.now = 1000.0  # all of them come at once
        pacer.wait(0.2)
        passed.append(clock.now)
    assert passed[0] == pytest.approx(1000.2)
    assert {round(after - before, 6) for before, after in pairwise(passed)} == {0.04}


def test_what_is_no_upid_is_refused() -> None:
    with pytest.raises(FailedError, match="where the name of a task was due"):
        Upid.parse("null")
