"""The selftest's own judgement, on a stage without a lab: what it calls caught, missed, disturbed, undone."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.commands.selftest import FINDINGS, Heard, _row
from lab.console import Console
from lab.errors import FailedError, InputError
from lab.inventory import load
from lab.runs import Run
from lab.selftest import run as runner
from lab.selftest.catalogue import catalogue, chosen
from lab.selftest.defect import Breakage, Slip, edited, moved
from lab.selftest.prove import Finding
from lab.verify.index import rows
from tests.fakes import FakeClock
from tests.unit.selftest.stage import Stage, breakage, green, prove, record

ROOT = Path(__file__).parents[3]
INVENTORY = load("rehearsal")


def test_a_defect_is_caught_by_the_check_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    one = breakage("one")
    (found,) = prove(monkeypatch, Stage([green(one)], [record(one)], [green(one)]), one)
    assert (found.caught, found.undone, found.found) == (True, True, ("L1-08 worker-1",))


@pytest.mark.parametrize(
    "change",
    [
        {"outcome": Outcome.PASSED},
        {"outcome": Outcome.COULD_NOT_TELL},
        {"message": "expected x; seen: something else"},
        {"host": "worker-2"},
        {"checks": ("L1-09",)},
    ],
)
def test_anything_else_is_a_miss(monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
    one = breakage("one")
    other = record(one).model_copy(update=change)
    (found,) = prove(monkeypatch, Stage(*[[green(one)], [other]] * 2, [green(one)]), one)
    assert found.verdict == "missed"
    assert not found.good


def test_who_is_named_at_the_second_trial_only_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    one = breakage("one")
    stage = Stage([green(one)], [green(one)], [green(one)], [record(one)], [green(one)])
    (found,) = prove(monkeypatch, stage, one)
    assert (found.verdict, found.problem) == (
        "missed",
        "was named at the second trial only: its check is not steady",
    )


def test_a_defect_that_stays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    one = breakage("one")
    (found,) = prove(monkeypatch, Stage([green(one)], [record(one)], [record(one)]), one)
    assert (found.caught, found.undone) == (True, False)
    assert "L1-08 worker-1" in found.problem
    (found,) = prove(monkeypatch, Stage([green(one)], [record(one)], stuck="one: no way in"), one)
    assert (found.undone, found.problem) == (False, "one: no way in")


def test_a_lab_that_is_red_already_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    one = breakage("one")
    stage = Stage([record(one)])
    with pytest.raises(FailedError, match="not green before"):
        prove(monkeypatch, stage, one)
    assert stage.done == []
    with pytest.raises(FailedError, match="no check of this lab has row L1-08"):
        prove(monkeypatch, Stage([]), one)


def test_what_could_not_be_applied_is_told_and_the_others_of_its_wave_are_proven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, wrong = breakage("one"), breakage("cannot-be-applied", row="L1-09")
    healthy = [green(one), green(wrong)]
    stage = Stage(healthy, [record(one), green(wrong)], healthy, [green(wrong)], [green(wrong)])
    found = {item.defect.name: item for item in prove(monkeypatch, stage, one, wrong)}
    assert (found["one"].verdict, found["one"].problem) == ("caught", "")
    assert (found[wrong.name].verdict, found[wrong.name].problem) == ("missed", "no such file")
    assert stage.done == ["one", wrong.name, "undo", wrong.name, "undo"]


def test_whatever_happens_everything_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = breakage("one"), breakage("other", row="L1-09")

    class Stopped(Stage):
        def __init__(self, end: BaseException, *answers: Sequence[Record]) -> None:
            super().__init__(*answers)
            self._end: BaseException | None = end

        def examine(self, layer: str, rows: Sequence[str], *, evidence: bool = False) -> list[Record]:
            if self.done and self._end:
                end, self._end = self._end, None
                raise end
            return super().examine(layer, rows, evidence=evidence)

    healthy = [green(one), green(other)]
    stage = Stopped(KeyboardInterrupt(), healthy)
    with pytest.raises(KeyboardInterrupt):
        prove(monkeypatch, stage, one, other)
    assert stage.done == ["one", "other", "undo"]

    alone = [[record(one)], [green(one)], [record(other)], [green(other)]]
    stage = Stopped(FailedError("no word of the checks"), healthy, healthy, *alone)
    assert [item.verdict for item in prove(monkeypatch, stage, one, other)] == ["caught alone"] * 2
    assert stage.done == ["one", "other", "undo", "one", "undo", "other", "undo"]


def test_who_was_missed_in_company_is_tried_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, hidden, blind = breakage("one"), breakage("hidden", row="L1-09"), breakage("blind", row="L1-10")
    healthy = [green(one), green(hidden), green(blind)]
    other_words = record(hidden, message="expected x; seen: something else")
    stage = Stage(
        *(healthy, [record(one), other_words, green(blind)], healthy),
        *([record(hidden)], [green(hidden)], [green(blind)], [green(blind)]),
    )
    found = {item.defect.name: item for item in prove(monkeypatch, stage, one, hidden, blind)}
    assert {name: item.verdict for name, item in found.items()} == {
        "one": "caught",
        "hidden": "caught alone",
        "blind": "missed",
    }
    assert set(found["hidden"].disturbed_by) == {"one", "blind"}
    assert found["hidden"].good
    assert not found["blind"].good
    assert stage.done[3:] == ["undo", "hidden", "undo", "blind", "undo"]
    # evidence is gathered before anything is broken, and where a miss is to be explained
    assert stage.explained == [True, False, False, True, False, True, False]


def test_nothing_is_tried_again_in_a_lab_that_is_not_green(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = breakage("one"), breakage("other", row="L1-09")
    healthy = [green(one), green(other)]
    stage = Stage(healthy, [record(one), green(other)], [record(one), green(other)])
    found = prove(monkeypatch, stage, one, other)
    assert [item.verdict for item in found] == ["not undone"] * 2
    assert stage.done == ["one", "other", "undo"]


def test_after_undoing_only_what_is_still_red_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    one, slow = breakage("one"), breakage("slow", row="L1-14")
    healthy = [green(one), green(slow)]
    stage = Stage(healthy, [record(one), record(slow)], [green(one), record(slow)], [green(slow)])
    monkeypatch.setattr("lab.waits.time", FakeClock())
    monkeypatch.setattr(runner, "OnLab", lambda *_: stage)
    found = runner.selftest(None, Path(), Console(), [one, slow], lambda _: None)  # type: ignore[arg-type]
    assert [item.verdict for item in found] == ["caught", "caught"]
    assert [set(rows) for rows in stage.asked[-2:]] == [{"L1-08", "L1-14"}, {"L1-14"}]


def test_the_time_of_a_wave_is_told_by_phase_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = breakage("one"), breakage("other", row="L1-09")
    healthy = [green(one), green(other)]
    found = prove(monkeypatch, Stage(healthy, [record(one), record(other)], healthy), one, other)
    for item in found:
        assert set(item.phases) == {"apply", "look", "undo", "green"}
        assert item.seconds == pytest.approx(sum(item.phases.values()) / 2, abs=0.06)


def test_the_report_tells_a_miss_from_a_disturbance_and_where_the_time_went() -> None:
    found = Finding(
        breakage("hidden"),
        caught=True,
        undone=True,
        found=("L1-08 worker-1",),
        phases={"apply": 1.0, "look": 20.0, "undo": 2.0, "green": 17.0},
        sharers=4,
        disturbed_by=("noisy",),
    )
    assert _row(found) == {
        "name": "hidden",
        "layer": "node",
        "title": "hidden",
        "expected": "L1-08 worker-1",
        "found": "L1-08 worker-1",
        "seconds": 10.0,
        "wave": {"apply": 1.0, "look": 20.0, "undo": 2.0, "green": 17.0, "defects": 4},
        "verdict": "caught alone",
        "disturbed by": ["noisy"],
        "problem": "",
    }


def test_mistakes_in_files_are_proven_in_copies_of_their_own_before_the_lab_is_touched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slips = [
        Slip(name=name, title="", row="L0-07", host="haproxy", says=name, file="f", old=name, new="")
        for name in ("first", "second", "third")
    ]
    living = breakage("living")
    made: list[tuple[str, Copy]] = []

    class Copy(Stage):
        lasting = False

        def examine(self, layer: str, rows: Sequence[str], *, evidence: bool = False) -> list[Record]:
            self.asked.append(tuple(rows))
            self.explained.append(evidence)
            assert layer == "render"
            shown = [record(slip) for slip in slips if slip.name in self.done]
            return shown or [green(slip) for slip in slips]

    def copy(_: object, folder: Path) -> Copy:
        made.append((folder.name, Copy()))
        return made[-1][1]

    monkeypatch.setattr(runner, "OnCopy", copy)
    lab = Stage([green(living)], [record(living)], [green(living)])
    found = prove(monkeypatch, lab, living, *slips)
    assert [(item.defect.name, item.verdict) for item in found] == [
        *((slip.name, "caught") for slip in slips),
        ("living", "caught"),
    ]
    assert [name for name, _ in made] == ["whole", "copy-1", "copy-2", "copy-3"]
    # one check tells of one of them, so each has its copy, which is thrown away instead of looked at again
    assert [len(stage.asked) for _, stage in made] == [1, 1, 1, 1]


def test_the_catalogue_is_large_and_names_real_rows_and_hosts() -> None:
    found = catalogue(INVENTORY)
    assert len(found) >= 60
    assert len({defect.name for defect in found}) == len(found)
    assert {defect.row for defect in found} <= set(rows())
    assert {defect.host for defect in found} <= {"", *INVENTORY.hosts}
    assert {defect.place for defect in found if isinstance(defect, Breakage)} <= set(INVENTORY.hosts)
    assert {defect.layer for defect in found} >= {"render", "node", "cluster"}


def test_a_slip_finds_what_it_replaces() -> None:
    for defect in catalogue(INVENTORY):
        if isinstance(defect, Slip):
            text = (ROOT / defect.file).read_text()
            assert text.count(defect.old) == 1, f"{defect.name}: which of them is meant?"
            assert text.replace(defect.old, defect.new, 1) != text, defect.name


def test_a_selection_picks_names_rows_and_layers() -> None:
    assert [d.name for d in chosen(INVENTORY, "sysctl-off")] == ["sysctl-off"]
    assert {d.row for d in chosen(INVENTORY, "L1-20")} == {"L1-20"}
    assert {d.layer for d in chosen(INVENTORY, "render, L1-20")} == {"render", "node"}
    with pytest.raises(InputError, match="--select sysctl: no defect") as told:
        chosen(INVENTORY, "sysctl")
    assert told.value.next_step.startswith("sysctl-")


@pytest.mark.parametrize("make", [lambda n, p: edited(n, p, "s/old/new/"), moved])
def test_a_file_comes_back_as_it_was_however_often(tmp_path: Path, make: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("lab.selftest.defect.KEPT", str(tmp_path / "kept"))
    path = tmp_path / "a file"
    path.write_text("old\n")
    path.chmod(0o640)
    commands = make("name", str(path))

    def sh(command: str) -> None:
        subprocess.run(["sh", "-c", command], check=True)

    sh(commands["repair"])
    assert path.read_text() == "old\n"
    sh(commands["damage"])
    assert not path.exists() or path.read_text() == "new\n"
    for _ in range(2):
        sh(commands["repair"])
        assert (path.read_text(), path.stat().st_mode & 0o777) == ("old\n", 0o640)


def test_whoever_stops_a_selftest_loses_no_finding(tmp_path: Path) -> None:
    run = Run(tmp_path, "lab", "selftest")
    heard = Heard(run, Console())
    told = r"stopped: 2 findings are in .*selftest\.json"
    with pytest.raises(KeyboardInterrupt, match=told), heard.stopping():
        for name in ("one", "two"):
            heard(Finding(breakage(name), caught=True, undone=True, found=()))
        raise KeyboardInterrupt
    kept = json.loads((run.folder / FINDINGS).read_text())
    run.close()
    assert [(row["name"], row["verdict"]) for row in kept] == [("one", "caught"), ("two", "caught")]
