"""The frame around every operation: lock, report, evidence, faults left behind, plans and exit codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from invoke.exceptions import Exit

import tasks
from lab.commands import operating
from lab.commands.session import Session
from lab.console import Console
from lab.damage import Entry, Journal
from lab.errors import DeadlineError, FailedError, PreflightError
from lab.labs import Lab
from lab.locks import exclusive
from lab.runs import Run
from lab.ssh import Keys
from lab.steps.context import Build
from lab.steps.engine import Stages, Step
from lab.steps.operation import Operation
from tests.world import World


class Frame:
    """The commands of a lab of fakes, with an operation of the test's choice."""

    def __init__(self, world: World, lab: Lab) -> None:
        self.world, self.lab = world, lab
        self.story: list[str] = []
        self.operation = self.of(lambda: (True, ""))
        self.options: dict[str, object] = {}

    def of(
        self, does: Callable[[], tuple[bool, str]], will: tuple[str, ...] = ("write x",), **fields: object
    ) -> Operation:
        """An operation of one step on worker-1."""

        def steps(_build: Build, **options: object) -> Stages:
            self.options = options
            yield [
                Step("work", "worker-1", "work", frozenset(), does, will=will, diffs=("--- a\n+++ b\n-c\n",))
            ]

        known = Operation(steps, artefacts=False, check=lambda _: self.story.append("check"))
        self.operation = Operation(**{**known.__dict__, **fields})
        return self.operation

    def act(self, **options: object) -> int:
        """The exit code."""
        return _code(lambda: operating.operate("build", "rehearsal", "", False, **options))

    def plan(self, **options: object) -> int:
        return _code(lambda: operating.plan("build", "rehearsal", "", **options))


def _code(command: Callable[[], None]) -> int:
    try:
        command()
    except Exit as left:
        return left.code or 0
    return 0


@pytest.fixture
def frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frame]:
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    world = World(tmp_path)
    world.ssh.on("", "", FailedError("no route to host"))
    lab = Lab(world.inventory, tmp_path, world.provider, ssh=world.ssh)
    made = Frame(world, lab)

    @contextmanager
    def opened(name: str, *_: object, **__: object) -> Iterator[Session]:
        run = Run(tmp_path, "test", name)
        try:
            with Console() as console:
                yield Session(world.inventory, lab, console, run, chosen={"inventory": "mine"})
        except BaseException:
            logging.getLogger("plumbline").exception("the command ended by an error")
            raise
        finally:
            run.close()

    monkeypatch.setattr(operating, "session", opened)
    monkeypatch.setattr(operating, "find", lambda _: made.operation)
    monkeypatch.setattr("lab.commands.operating.heal_left_behind", lambda *_: made.story.append("heal"))
    yield made


@pytest.fixture
def folder(frame: Frame) -> Path:
    """The folder of the newest run."""
    return frame.world.folder / ".lab/test/runs/last"


def fails() -> tuple[bool, str]:
    raise FailedError("worker-1: no answer", next_step="invoke logs")


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
    def steps(_: Build) -> Stages:
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
    def refused(_: Build) -> Stages:
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

    monkeypatch.setattr("lab.commands.operating.heal_left_behind", heal)
    frame.of(work)
    assert frame.act() == 0
    assert frame.story == ["heal", "check", "work", "heal"]
    assert "healed later: the lab has no network yet" in (folder / "debug.log").read_text()


def test_a_fault_of_a_living_process_is_not_worked_over(
    frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def heal(*_: object) -> None:
        raise PreflightError("fault power-off of master-2 is live")

    monkeypatch.setattr("lab.commands.operating.heal_left_behind", heal)
    frame.of(lambda: pytest.fail("worked"))
    assert frame.act() == 3


def test_the_note_of_a_fault_goes_with_the_last_machine(frame: Frame) -> None:
    journal = Journal(frame.lab)
    journal.add(Entry("power-off", "worker-1"))
    frame.of(lambda: (True, ""), heals=False)
    frame.world.provider.states["master-1"] = frame.world.provider.state("x").RUNNING
    assert frame.act() == 0
    assert journal.entries(), "its machine may still be there"
    frame.world.provider.states.clear()
    assert frame.act() == 0
    assert not journal.entries()
    assert frame.story == ["check", "check"]


# --- plans


@pytest.mark.parametrize("way", ["plan", "dry run"])
def test_a_plan_prints_sentences_and_diffs_runs_nothing_and_ends_with_10(
    frame: Frame, way: str, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.of(lambda: pytest.fail("worked"))
    if way == "plan":
        assert frame.plan(source="auto") == operating.SOMETHING_TO_DO == 10
    else:
        assert _code(lambda: operating.operate("build", "rehearsal", "", True)) == 10
    told = capfd.readouterr().out
    assert "worker-1     write x" in told
    assert "-c" in told
    assert frame.story == []
    log = frame.world.folder / ".lab/test/runs/last/debug.log"
    assert "ended by an error" not in log.read_text(), "a plan that is not empty is none"


def test_a_plan_without_anything_to_do_says_so_and_ends_with_0(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.of(lambda: pytest.fail("worked"), will=())
    assert frame.plan() == 0
    assert "nothing to do" in capfd.readouterr().out


def test_a_plan_that_cannot_tell_prints_the_rest_and_ends_with_the_reason(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    def steps(_: Build) -> Stages:
        unknown = DeadlineError("dry run of IPAddressPool", 20, "failed calling webhook")
        yield [
            Step("addon-metallb", "", "metallb", frozenset(), fails, unknown=unknown),
            Step("converge", "worker-1", "converge", frozenset(), fails, will=("write /etc/hosts",)),
        ]

    frame.operation = Operation(steps, artefacts=False)
    assert frame.plan() == 4
    told = capfd.readouterr()
    assert "write /etc/hosts" in told.out
    assert "dry run of IPAddressPool" in told.err


def test_a_plan_takes_no_lock(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating, "exclusive", lambda *_: nullcontext(pytest.fail("locked")))
    assert frame.plan() == 10
