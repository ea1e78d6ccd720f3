"""The frame around every plan: its exit codes, and artefacts that it does without."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from lab.artifacts.provide import Provided
from lab.artifacts.status import StatusRow
from lab.commands import operating
from lab.errors import DeadlineError, PreflightError
from lab.steps.context import Context
from lab.steps.engine import Stages, Step
from lab.steps.operation import Operation
from tests.unit.core.frame import Frame, exit_code, fails


@pytest.mark.parametrize("way", ["plan", "dry run"])
def test_a_plan_prints_sentences_and_diffs_runs_nothing_and_ends_with_10(
    frame: Frame, way: str, capfd: pytest.CaptureFixture[str]
) -> None:
    frame.of(lambda: pytest.fail("worked"))
    if way == "plan":
        assert frame.plan(source="auto") == operating.SOMETHING_TO_DO == 10
    else:
        assert exit_code(lambda: operating.operate("build", "rehearsal", "", True)) == 10
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
