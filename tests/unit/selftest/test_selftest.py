"""The selftest's own judgement, on a stage without a lab: what it calls caught, missed, undone."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.console import Console
from lab.errors import CommandError, FailedError, InputError
from lab.inventory import load
from lab.selftest import run as runner
from lab.selftest.batches import waves
from lab.selftest.catalogue import catalogue, chosen
from lab.selftest.defect import Breakage, Defect, Slip, edited, moved
from lab.verify.index import rows

ROOT = Path(__file__).parents[3]
INVENTORY = load("rehearsal")


def breakage(name: str, row: str = "L1-08", host: str = "worker-1", **fields: Any) -> Breakage:
    return Breakage(
        name=name, title=name, layer="node", row=row, host=host, says=name, damage=name, repair="", **fields
    )


def record(defect: Defect, **fields: Any) -> Record:
    values = {"outcome": defect.outcome, "message": f"expected x; seen: {defect.says}"} | fields
    return Record(
        id=f"test[{defect.name}]", checks=(defect.row,), title="", layer="node", host=defect.host, **values
    )


class Stage:
    """Answers with prepared records; the first answer is that of the healthy lab."""

    def __init__(self, *answers: Sequence[Record], stuck: str = "") -> None:
        self._answers, self._stuck = list(answers), stuck
        self.applied: list[str] = []

    def apply(self, defect: Defect) -> None:
        self.applied.append(defect.name)
        if defect.name == "cannot-be-applied":
            raise FailedError("no such file")

    def undo(self) -> list[str]:
        self.applied.append("undo")
        return [self._stuck] if self._stuck else []

    def examine(self, layer: str, rows: Sequence[str]) -> list[Record]:  # noqa: ARG002
        return list(self._answers.pop(0))


def prove(monkeypatch: pytest.MonkeyPatch, stage: Stage, *defects: Defect) -> list[runner.Finding]:
    monkeypatch.setattr(runner, "OnLab", lambda *_: stage)
    monkeypatch.setattr(runner, "GREEN_SECONDS", 0)
    heard: list[runner.Finding] = []
    found = runner.selftest(None, Path(), Console(), defects, heard.append)  # type: ignore[arg-type]
    assert heard == found
    return found


def green(defect: Defect) -> Record:
    return record(defect, outcome=Outcome.PASSED, message="")


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
    (found,) = prove(monkeypatch, Stage([green(one)], [other], [green(one)]), one)
    assert not found.caught
    assert not found.good


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
    assert stage.applied == []
    with pytest.raises(FailedError, match="no check of this lab has row L1-08"):
        prove(monkeypatch, Stage([]), one)


def test_whatever_happens_everything_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    one, bad = breakage("one"), breakage("cannot-be-applied", row="L1-09")
    stage = Stage([green(one), green(bad)], [green(one), green(bad)])
    found = prove(monkeypatch, stage, one, bad)
    assert [item.caught for item in found] == [False, False]
    assert found[0].problem == "no such file"
    assert stage.applied == ["one", "cannot-be-applied", "undo"]

    class Stopped(Stage):
        def examine(self, layer: str, rows: Sequence[str]) -> list[Record]:
            if self.applied:
                raise KeyboardInterrupt
            return super().examine(layer, rows)

    stage = Stopped([green(one)])
    with pytest.raises(KeyboardInterrupt):
        prove(monkeypatch, stage, one)
    assert stage.applied == ["one", "undo"]


def test_waves_never_hold_two_defects_of_one_check() -> None:
    for layer in ("render", "node", "cluster", "services"):
        mine = [defect for defect in catalogue(INVENTORY) if defect.layer == layer]
        packed = waves(mine)
        assert sorted(d.name for wave in packed for d in wave.defects) == sorted(d.name for d in mine)
        for wave in packed:
            spots = [(d.row, d.host) for d in wave.defects]
            assert len(set(spots)) == len(spots)
            assert len({d.settles for d in wave.defects}) == 1
            assert len(wave.defects) == 1 or not any(d.alone for d in wave.defects)


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
    with pytest.raises(InputError, match="--select sysctl: no defect"):
        chosen(INVENTORY, "sysctl")


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


class Hosts:
    """Remembers commands; refuses those it is told to."""

    config = Path("/nowhere")

    def __init__(self, refused: str = "") -> None:
        self.commands: list[tuple[str, str]] = []
        self._refused = refused

    def run(self, host: str, command: str, *, seconds: float) -> str:  # noqa: ARG002
        self.commands.append((host, command))
        if command == self._refused:
            raise CommandError(host, command, 1, "no")
        return ""
