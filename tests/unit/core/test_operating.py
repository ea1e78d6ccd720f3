"""The frame around every operation: lock, report, evidence, faults left behind, plans and exit codes."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.exceptions import Exit

import tasks
from lab.artifacts.provide import Provided
from lab.artifacts.status import StatusRow
from lab.commands import checking, operating
from lab.commands.session import Session
from lab.console import Console
from lab.damage import Damage, Journal
from lab.errors import DeadlineError, FailedError, PreflightError
from lab.labs import Lab
from lab.locks import exclusive
from lab.runs import Run
from lab.ssh import Keys
from lab.steps.context import Context
from lab.steps.engine import Stages, Step
from lab.steps.operation import Operation
from tests.world import INVENTORY, World


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

        def steps(_build: Context, **options: object) -> Stages:
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

    # what a host knew in another test of this process, less than half a minute ago
    monkeypatch.setattr("lab.checks.evidence._kept", {})
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
    journal.add(Damage("power-off", "worker-1"))
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
    def steps(_: Context) -> Stages:
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


def test_what_a_person_must_see_to_is_told_by_plan_and_operation_and_done_by_neither(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    way = "is not in the file: invoke destroy --host worker-9 removes it"

    def steps(_: Context) -> Stages:
        yield [
            Step("left", "worker-9", "no longer in the file", frozenset(), lambda: (False, ""), asks=(way,))
        ]

    frame.operation = Operation(steps, artefacts=False)
    assert frame.plan() == 10
    assert f"worker-9     {way}" in capfd.readouterr().out
    assert frame.act() == 0
    told = capfd.readouterr().out
    assert f"worker-9     {way}" in told
    assert "nothing to do" not in told, "it is not so"


def test_a_plan_that_is_stopped_has_begun_nothing(frame: Frame) -> None:
    def steps(context: Context) -> Stages:
        assert context.planning
        yield []
        raise KeyboardInterrupt

    frame.operation = Operation(steps, artefacts=False)
    with pytest.raises(Exit) as left:
        operating.plan("build", "rehearsal", "")
    assert left.value.code == 130


MISSING = [
    StatusRow("kubernetes", "v1.31.0", "modules", "", "missing", 0),
    StatusRow("debian", "bookworm", "debian", "", "broken: /x is gone", 1),
    StatusRow("payload", "", "modules", "", "missing", 0),
]


@pytest.fixture
def nothing_is_brought(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store lacks something, and whoever makes or fetches it fails the test."""
    monkeypatch.setattr(operating, "rows_by_arch", lambda *_: {"amd64": MISSING})
    monkeypatch.setattr(operating, "provide", lambda *_, **__: pytest.fail("made artefacts"))


@pytest.mark.usefixtures("nothing_is_brought")
def test_a_plan_brings_no_artefacts_and_says_which_would_be(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.of(lambda: pytest.fail("worked"), artefacts=True)
    assert frame.plan(source="modules") == 10
    told = capfd.readouterr().out
    assert "make or fetch kubernetes v1.31.0 (source modules)" in told
    assert "make or fetch debian bookworm (source debian)" in told
    assert "worker-1     write x" in told, "what needs no artefact is told"


@pytest.mark.usefixtures("nothing_is_brought")
@pytest.mark.parametrize("below", ["file", "file/x", "loop", "x" * 256])
def test_a_plan_of_what_could_not_be_kept_is_refused(
    frame: Frame,
    below: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path / below))
    frame.of(lambda: pytest.fail("worked"), artefacts=True)
    assert frame.plan(source="modules") == PreflightError.exit_code
    told = capfd.readouterr()
    assert f"{tmp_path / below}: no artefacts can be kept there: " in told.err
    assert "next: PLUMBLINE_CACHE=/another/folder" in told.err
    assert "make or fetch" not in told.out


@pytest.mark.usefixtures("nothing_is_brought")
def test_a_plan_of_source_auto_says_that_upstream_is_still_to_be_asked(
    frame: Frame, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PLUMBLINE_SOURCE", raising=False)
    frame.of(lambda: pytest.fail("worked"), artefacts=True)
    assert frame.plan(source="auto") == 10
    told = capfd.readouterr().out
    assert "make or fetch kubernetes v1.31.0 (source upstream, or modules if it does not answer)" in told
    assert "make or fetch debian bookworm (source debian)" in told


@pytest.mark.usefixtures("nothing_is_brought")
def test_a_plan_that_needs_missing_artefacts_says_so_and_how_they_come(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    def steps(context: Context, **_: object) -> Stages:
        yield [Step("x", "", context.artefacts.source, frozenset(), fails)]

    frame.operation = Operation(steps)
    assert frame.plan(source="auto") == 10
    told = capfd.readouterr().out
    assert "what else differs can be told when the artefacts are here" in told
    assert "next: invoke artifacts --fetch" in told


@pytest.mark.usefixtures("nothing_is_brought")
def test_a_plan_of_source_mirror_names_what_a_bundle_must_bring(
    frame: Frame, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.of(lambda: pytest.fail("worked"), artefacts=True)
    assert frame.plan(source="mirror") == 1
    told = capfd.readouterr().err
    assert "kubernetes, debian (" in told
    assert "payload" not in told, "it is made here of the others"
    assert "invoke artifacts.bundle --from FILE" in told


@pytest.mark.usefixtures("nothing_is_brought")
def test_a_plan_of_source_mirror_names_each_artefact_once_with_its_architectures(
    frame: Frame, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    probe = replace(MISSING[0], component="probe")
    by_arch = {"amd64": MISSING, "arm64": [MISSING[0], probe]}
    monkeypatch.setattr(operating, "rows_by_arch", lambda *_: by_arch)
    frame.of(lambda: pytest.fail("worked"), artefacts=True)
    assert frame.plan(source="mirror") == 1
    told = " ".join(capfd.readouterr().err.split())
    assert "kubernetes (amd64, arm64), debian (amd64), probe (arm64): not in the store" in told


def test_a_plan_with_all_artefacts_at_hand_has_them(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = Path("/nowhere")
    provided = Provided("modules", "amd64", {}, {}, nowhere, nowhere, nowhere)
    present = [replace(MISSING[0], state="present")]
    monkeypatch.setattr(operating, "rows_by_arch", lambda *_: {"amd64": present})
    monkeypatch.setattr(operating, "provide", lambda *_, **__: provided)

    def steps(context: Context, **_: object) -> Stages:
        assert context.artefacts is provided
        yield []

    frame.operation = Operation(steps)
    assert frame.plan(source="auto") == 0


def test_a_plan_takes_no_lock(frame: Frame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operating, "exclusive", lambda *_: nullcontext(pytest.fail("locked")))
    assert frame.plan() == 10


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
