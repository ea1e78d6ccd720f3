"""`invoke selftest --random`: up to three defects that chance picks, again and again, for some minutes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lab.console import Console
from lab.errors import InputError
from lab.labs import Lab
from lab.selftest.batches import Batch, fits
from lab.selftest.defect import Breakage, Defect
from lab.selftest.prove import Finding, proven
from lab.selftest.run import healthy
from lab.selftest.stages import OnLab

MOST = 3
"""Defects that are in place at the same time."""


def drift(
    lab: Lab,
    folder: Path,
    console: Console,
    defects: Sequence[Defect],
    heard: Callable[[Finding], None],
    *,
    seed: str,
    minutes: float,
) -> list[Finding]:
    """Prove draws of the lab's defects until the time is over; the one that runs then is proven to its end.

    Raises `InputError` when there are no defects of a running lab, `FailedError` when the lab is not green
    before. The caller holds the lab's lock. However this ends, what was applied is undone, or stays noted.
    """
    alive = [defect for defect in defects if isinstance(defect, Breakage)]
    if not alive:
        raise InputError(
            "--random: --select picks no defect of a running lab",
            next_step="invoke selftest without --random: mistakes in files are all proven in a minute",
        )
    stage, chance = OnLab(lab, folder), random.Random(seed)
    for layer in dict.fromkeys(defect.layer for defect in alive):
        healthy(stage, console, layer, [defect for defect in alive if defect.layer == layer])
    findings: list[Finding] = []
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        for found in proven(stage, console, draw(chance, alive)):
            findings.append(found)
            heard(found)
    return findings


def draw(chance: random.Random, defects: Sequence[Defect]) -> Batch:
    """One to three defects that may be in place together; the same for the same state of `chance`."""
    number = chance.randint(1, MOST)
    picked: list[Defect] = []
    for defect in chance.sample(defects, len(defects)):
        if len(picked) < number and fits(picked, defect):
            picked.append(defect)
    return Batch(picked[0].layer, tuple(picked))
