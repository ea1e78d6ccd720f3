"""`invoke selftest`: apply defects, look whether the right check names each, undo them, look again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.console import Console
from lab.errors import FailedError, PlumblineError
from lab.labs import Lab
from lab.selftest.batches import Wave, waves
from lab.selftest.defect import Breakage, Defect
from lab.selftest.stages import OnCopy, OnLab, Stage
from lab.waits import NotYet, wait_for

GREEN_SECONDS = 180
"""Time from the undoing of defects until their checks are green: a unit must have run for a minute again."""


@dataclass(frozen=True)
class Finding:
    """What came of one defect."""

    defect: Defect
    caught: bool
    undone: bool
    found: tuple[str, ...]
    """Rows that were red, with their host; those of its wave's other defects are left out."""
    seconds: float
    problem: str = ""

    @property
    def good(self) -> bool:
        """Named by the expected check, and gone afterwards."""
        return self.caught and self.undone


def selftest(
    lab: Lab, folder: Path, console: Console, defects: Sequence[Defect], heard: Callable[[Finding], None]
) -> list[Finding]:
    """Prove each defect; `heard` is told every finding as soon as it is there.

    Raises `FailedError` when the rows concerned are not green before anything is broken. The caller holds the
    lab's lock. However this ends, every defect that was applied is undone, or stays noted in the journal.
    """
    stages: dict[bool, Stage] = {}
    findings: list[Finding] = []
    for layer in dict.fromkeys(defect.layer for defect in defects):
        mine = [defect for defect in defects if defect.layer == layer]
        on_lab = isinstance(mine[0], Breakage)
        if on_lab not in stages:
            stages[on_lab] = OnLab(lab, folder) if on_lab else OnCopy(lab, folder)
        stage = stages[on_lab]
        _healthy(stage, console, layer, mine)
        for wave in waves(mine):
            for finding in _prove(stage, console, wave):
                findings.append(finding)
                heard(finding)
    return findings


def bad(records: Sequence[Record]) -> list[Record]:
    """What makes a run red."""
    return [item for item in records if item.outcome in (Outcome.FAILED, Outcome.COULD_NOT_TELL)]


def _healthy(stage: Stage, console: Console, layer: str, defects: Sequence[Defect]) -> None:
    rows = sorted({defect.row for defect in defects})
    with console.working(layer, f"{layer}: {len(rows)} rows before anything is broken"):
        records = stage.examine(layer, rows)
    red = bad(records)
    if red:
        raise FailedError(
            f"{layer}: not green before anything was broken: {'; '.join(map(_short, red))}",
            next_step="invoke verify",
        )
    missing = set(rows) - {row for record in records for row in record.checks}
    if missing:
        raise FailedError(f"{layer}: no check of this lab has row {', '.join(sorted(missing))}")


def _prove(stage: Stage, console: Console, wave: Wave) -> list[Finding]:
    """One wave: its defects are in place together, and the expected check must name each of them."""
    begun, problem = time.monotonic(), ""
    red: list[Record] = []
    title = ", ".join(defect.name for defect in wave.defects)
    with console.working(title, f"{wave.layer}: {title}"):
        try:
            for defect in wave.defects:
                stage.apply(defect)
            red = bad(stage.examine(wave.layer, wave.rows))
        except PlumblineError as error:
            problem = error.message
        finally:
            left = stage.undo()
        problem = problem or "; ".join(left)
        if not left:
            left = _green_again(stage, wave)
    names = {id(record) for record in red for defect in wave.defects if defect.named_by(record)}
    also = tuple(_short(record) for record in red if id(record) not in names)
    seconds = (time.monotonic() - begun) / len(wave.defects)
    return [
        Finding(
            defect,
            caught=any(defect.named_by(record) for record in red),
            undone=not left,
            found=(*(_short(record) for record in red if defect.named_by(record)), *also),
            seconds=round(seconds, 1),
            problem=problem or "; ".join(left),
        )
        for defect in wave.defects
    ]


def _green_again(stage: Stage, wave: Wave) -> list[str]:
    """Look until the wave's rows are green; what still is not, when time is over."""

    def look() -> None:
        red = bad(stage.examine(wave.layer, wave.rows))
        if red:
            raise NotYet("; ".join(map(_short, red)))

    try:
        wait_for(f"{wave.layer}: green after undoing", look, seconds=GREEN_SECONDS, interval=1)
    except PlumblineError as error:
        return [error.message]
    return []


def _short(record: Record) -> str:
    mark = "" if record.outcome is Outcome.FAILED else "?"
    return f"{','.join(record.checks) or record.id}{mark} {record.host or 'lab'}"
