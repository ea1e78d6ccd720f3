"""`invoke selftest`: waves of defects, those of one layer after those of another.

Mistakes in files are proven in copies of the checkout, some at the same time; damage in the one lab there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from lab.console import Console
from lab.errors import FailedError
from lab.labs import Lab
from lab.selftest.batches import batches
from lab.selftest.defect import Breakage, Defect
from lab.selftest.prove import Finding, again, bad, prove, proven, short
from lab.selftest.stages import OnCopy, OnLab, Stage

COPIES_AT_ONCE = 2
"""Copies of the checkout in which verify runs at the same time: one for each core of a small machine."""


def selftest(
    lab: Lab, folder: Path, console: Console, defects: Sequence[Defect], heard: Callable[[Finding], None]
) -> list[Finding]:
    """Prove each defect; `heard` is told every finding as soon as it is there.

    Raises `FailedError` when the rows concerned are not green before anything is broken. The caller holds the
    lab's lock. However this ends, every defect that was applied is undone, or stays noted in the journal.
    """
    findings: list[Finding] = []
    alive = [defect for defect in defects if isinstance(defect, Breakage)]
    mistakes = [defect for defect in defects if not isinstance(defect, Breakage)]
    for found in chain(_on_copies(lab, folder, console, mistakes), _on_lab(lab, folder, console, alive)):
        findings.append(found)
        heard(found)
    return findings


def _on_lab(lab: Lab, folder: Path, console: Console, defects: Sequence[Breakage]) -> Iterator[Finding]:
    stage = OnLab(lab, folder)
    for layer in dict.fromkeys(defect.layer for defect in defects):
        mine = [defect for defect in defects if defect.layer == layer]
        healthy(stage, console, layer, mine)
        for wave in batches(mine):
            yield from proven(stage, console, wave)


def _on_copies(lab: Lab, folder: Path, console: Console, defects: Sequence[Defect]) -> Iterator[Finding]:
    for layer in dict.fromkeys(defect.layer for defect in defects):
        mine = [defect for defect in defects if defect.layer == layer]
        healthy(OnCopy(lab, folder / "whole"), console, layer, mine)
        waves = batches(mine)
        stages = [OnCopy(lab, folder / f"copy-{number}") for number in range(1, len(waves) + 1)]
        # trials of who was missed follow here, not in the pool: after an interrupt nothing new begins there
        with ThreadPoolExecutor(COPIES_AT_ONCE) as pool:
            looks = pool.map(lambda stage, wave: prove(stage, console, wave), stages, waves)
            for stage, wave, findings in zip(stages, waves, looks, strict=True):
                yield from again(stage, console, wave, findings)


def healthy(stage: Stage, console: Console, layer: str, defects: Sequence[Defect]) -> None:
    """Look at the rows of defects before anything is broken. Raises `FailedError` unless all are green."""
    terms = sorted({one.term for defect in defects for one in defect.told})
    rows = {row for defect in defects for row in defect.rows}
    with console.working(layer, f"{layer}: {len(rows)} rows before anything is broken"):
        records = stage.examine(layer, terms, evidence=True)
    red = bad(records)
    if red:
        raise FailedError(
            f"{layer}: not green before anything was broken: {'; '.join(map(short, red))}",
            next_step="invoke verify",
        )
    missing = rows - {row for record in records for row in record.checks}
    if missing:
        raise FailedError(f"{layer}: no check of this lab has row {', '.join(sorted(missing))}")
