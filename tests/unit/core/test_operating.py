"""The frame around every operation: lock, report, evidence, faults left behind and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tasks
from lab.commands import checking
from lab.damage import Damage, Journal
from lab.errors import DeadlineError, FailedError, PreflightError
from lab.locks import exclusive
from lab.ssh import Keys
from lab.steps.context import Context
from lab.steps.engine import Stages, Step
from lab.steps.operation import Operation
from tests.unit.core.frame import Frame, fails
from tests.world import INVENTORY


def test_an_operation_is_checked_works_under_the_lock_and_leaves_a_page(frame: Frame, folder: Path) -> None:
    def works() -> tuple[bool, str]:
        owner = json.loads((Keys("test").folder / "owner.json").read_text())
        frame.story.append(owner["command"])
        return True, ""

    frame.of(works)
    assert frame.act() == 0
    assert frame.story == ["heal", "check", "invoke build", "heal"]
    assert "<h1>invoke build</h1>" in (folder / "report.html").read_text()


def test_its_own_options_reach_its_steps_and_those_of_the_frame_do_not(frame: Frame) -> None:
    assert frame.act(source="modules", backend="", host="worker-1") == 0
    assert frame.options == {"host": "worker-1"}


def test_one_that_fails_leaves_a_page_with_the_reason_and_what_its_host_knew(
    frame: Frame, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.world.ssh.on("worker-1", "", "what it knew")
    frame.of(fails)
    assert frame.act() == 1
    page = (folder / "report.html").read_text()
    assert "invoke build: <span>failed</span>" in page
    assert "worker-1: no answer" in page
    assert (folder / "evidence/worker-1/journal.txt").read_text() == "what it knew"
    assert "worker-1: no answer" in (folder / "evidence/check.txt").read_text()
    told = capfd.readouterr()
    assert "evidence: " in told.out
    assert told.err == "error: worker-1: no answer\n  next: invoke logs\n"


def test_a_host_that_only_the_error_names_is_asked_too(frame: Frame, folder: Path) -> None:
    def steps(_: Context) -> Stages:
        yield [Step("nodes", "", "all nodes Ready", frozenset(), late)]

    def late() -> tuple[bool, str]:
        raise DeadlineError("all nodes Ready", 300, "not Ready: worker-1, master-3")

    frame.operation = Operation(steps, artefacts=False)
    assert frame.act() == 4
    assert {path.name for path in (folder / "evidence").iterdir() if path.is_dir()} == {
        "master-3",
        "worker-1",
    }


def test_the_exit_code_of_a_missed_deadline_is_kept(frame: Frame) -> None:
    def late() -> tuple[bool, str]:
        raise DeadlineError("worker-1: kubeadm", 3, "nothing")

    frame.of(late)
    assert frame.act() == 4


def test_one_that_is_refused_before_its_first_step_leaves_neither(frame: Frame, folder: Path) -> None:
    def refused(_: Context) -> Stages:
        raise PreflightError("not today")
        yield []

    frame.operation = Operation(refused, artefacts=False)
    assert frame.act() == 3
    assert not (folder / "report.html").exists()
    assert not (folder / "evidence").exists()


def test_one_that_changed_nothing_says_so(frame: Frame, capfd: pytest.CaptureFixture[str]) -> None:
    frame.of(lambda: (False, ""), will=())
    assert frame.act() == 0
    assert "nothing to do" in capfd.readouterr().out


def test_what_is_told_in_the_end_proposes_commands_for_this_lab(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    assert tasks.namespace
    frame.of(lambda: (True, ""), told=lambda *_: ["next: invoke verify", "left as it is: [markup]"])
    assert frame.act() == 0
    told = capfd.readouterr().out
    assert "next: invoke verify -i mine" in told
    assert "[markup]" in told


def test_two_operations_never_work_on_one_lab(frame: Frame, capfd: pytest.CaptureFixture[str]) -> None:
    frame.of(lambda: pytest.fail("worked"))
    with exclusive(frame.lab, "invoke upgrade"):
        assert frame.act() == 3
    assert "`invoke upgrade` (process" in capfd.readouterr().err
    assert frame.story == []


# --- faults that were left behind


def test_a_fault_that_cannot_be_healed_before_the_machines_run_is_healed_behind_them(
    frame: Frame, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: the lab's network is not there when the operation begins."""

    def heal(*_: object) -> None:
        frame.story.append("heal")
        if "work" not in frame.story:
            raise FailedError("the lab has no network yet")

    def work() -> tuple[bool, str]:
        frame.story.append("work")
        return True, ""

    monkeypatch.setattr("lab.commands.operating._heal_left_behind", heal)
    frame.of(work)
    assert frame.act() == 0
    assert frame.story == ["heal", "check", "work", "heal"]
    assert "healed later: the lab has no network yet" in (folder / "debug.log").read_text()


def test_a_fault_of_a_living_process_is_not_worked_over(
    frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heal(*_: object) -> None:
        raise PreflightError("fault power-off of master-2 is live")

    monkeypatch.setattr("lab.commands.operating._heal_left_behind", heal)
    frame.of(lambda: pytest.fail("worked"))
    assert frame.act() == 3


def test_the_note_of_a_fault_goes_with_the_last_machine(frame: Frame) -> None:
    journal = Journal(frame.lab)
    journal.add(Damage("power-off", "worker-1"))
    frame.of(lambda: (True, ""), heals=False)
    frame.world.provider.states["master-1"] = frame.world.provider.state("x").RUNNING
    assert frame.act() == 0
    assert journal.entries(), "its machine may still be there"
    frame.world.provider.states.clear()
    assert frame.act() == 0
    assert not journal.entries()
    assert frame.story == ["check", "check"]


@pytest.mark.parametrize("command", ["plan", "act"])
def test_what_the_inventory_warns_of_is_told_before_anything_is_done(
    frame: Frame, command: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "warning: x.yaml:3: hypervisors.pve: carries no machine; remove it"
    monkeypatch.setattr(frame.world.inventory, "_warnings", (line,))
    getattr(frame, command)()
    assert line in capfd.readouterr().err.splitlines()


def test_a_valid_inventory_is_valid_with_its_warnings_counted(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    for added, wanted in (("", "no errors"), (", management: ", "no errors, 1 warning")):
        path.write_text(INVENTORY.replace("gateway: 10.1.1.1", f"gateway: 10.1.1.1{added}"))
        checking.validate(str(path), "")
        told = capfd.readouterr()
        assert told.out == f"test: 6 machines, 5 Kubernetes nodes: {wanted}\n"
        assert len(told.err.splitlines()) == (1 if added else 0)
        assert all(
            line.startswith(f"warning: {path}:4: network.management: ") for line in told.err.splitlines()
        )
