"""One wave: its defects are in place together, each must be named, and all must be gone afterwards.

Who was not named in company is tried again alone: a check that names it then was only disturbed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.console import Console
from lab.errors import PlumblineError
from lab.selftest.batches import Batch
from lab.selftest.defect import Defect
from lab.selftest.stages import Stage
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
    """Rows that were red, with their host; those that named the wave's other defects are left out."""
    phases: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Seconds in which its wave was applied, looked at, undone, and green again."""
    sharers: int = 1
    """How many defects had these seconds together."""
    problem: str = ""
    disturbed_by: tuple[str, ...] = ()
    """Those beside which it was not named, though it was when it was tried again alone."""

    @property
    def good(self) -> bool:
        """Named by the expected check, and gone afterwards."""
        return self.caught and self.undone

    @property
    def seconds(self) -> float:
        """Its part of the time of its wave."""
        return round(sum(self.phases.values()) / self.sharers, 1)

    @property
    def verdict(self) -> str:
        """One of four; the page of the selftest says what they mean."""
        if not self.undone:
            return "not undone"
        if not self.caught:
            return "missed"
        return "caught alone" if self.disturbed_by else "caught"


def proven(stage: Stage, console: Console, wave: Batch) -> list[Finding]:
    """What came of a wave; those that nobody named in it are tried again."""
    return again(stage, console, wave, prove(stage, console, wave))


def again(stage: Stage, console: Console, wave: Batch, findings: Sequence[Finding]) -> list[Finding]:
    """Findings of a wave, with a second trial, alone and with all evidence, of each defect that nobody named.

    Nothing is tried again in a lab that did not become green: it would prove nothing.
    """
    return [_alone(stage, console, wave, finding) for finding in findings]


def _alone(stage: Stage, console: Console, wave: Batch, finding: Finding) -> Finding:
    if finding.caught or not finding.undone:
        return finding
    (second,) = prove(stage, console, Batch(wave.layer, (finding.defect,)), evidence=True)
    if not second.good:
        return second
    others = tuple(one.name for one in wave.defects if one is not finding.defect)
    if others:
        return replace(second, disturbed_by=others)
    return replace(finding, problem="was named at the second trial only: its check is not steady")


def prove(stage: Stage, console: Console, wave: Batch, *, evidence: bool = False) -> list[Finding]:
    """Apply the defects of a wave, look once, undo them, and look until the lab is green.

    What is red as expected explains itself, so `evidence` of it is for a second trial.
    """
    phases: dict[str, float] = {}
    problems: dict[str, str] = {}
    red: list[Record] = []
    unseen = ""
    with console.working(wave.title, f"{wave.layer}: {wave.title}"):
        try:
            with _timed(phases, "apply"):
                problems = stage.apply(wave.defects)
            with _timed(phases, "look"):
                red = bad(stage.examine(wave.layer, wave.terms, evidence=evidence))
        except PlumblineError as error:
            unseen = error.message
        finally:
            with _timed(phases, "undo"):
                left = stage.undo()
        if not left and stage.lasting:
            with _timed(phases, "green"):
                left = _green_again(stage, wave)
    also = tuple(short(one) for one in red if not any(defect.named_by(one) for defect in wave.defects))
    return [
        Finding(
            defect,
            caught=not defect.unnamed(red),
            undone=not left,
            found=(*(short(record) for record in red if defect.named_by(record)), *also),
            phases=phases,
            sharers=len(wave.defects),
            problem=problems.get(defect.name, "") or unseen or "; ".join(left) or _silent(defect, red),
        )
        for defect in wave.defects
    ]


def _silent(defect: Defect, red: Sequence[Record]) -> str:
    """Which of several checks that must name a defect did not."""
    missing = defect.unnamed(red) if defect.also else ()
    return f"not named by {', '.join(missing)}" if missing else ""


def bad(records: Sequence[Record]) -> list[Record]:
    """What makes a run red."""
    return [item for item in records if item.outcome in (Outcome.FAILED, Outcome.COULD_NOT_TELL)]


def short(record: Record) -> str:
    """Row and host of a record; a `?` marks could-not-tell."""
    mark = "" if record.outcome is Outcome.FAILED else "?"
    return f"{','.join(record.checks) or record.id}{mark} {record.host or 'lab'}"


def _green_again(stage: Stage, wave: Batch) -> list[str]:
    """Look until the wave's checks are green, again at those that were not; what is red when time is over."""
    terms = wave.terms

    def look() -> None:
        nonlocal terms
        red = bad(stage.examine(wave.layer, terms))
        if red:
            terms = tuple(term for term in terms if any(_selects(term, one) for one in red)) or terms
            raise NotYet("; ".join(map(short, red)))

    try:
        wait_for(f"{wave.layer}: green after undoing", look, seconds=GREEN_SECONDS, interval=1)
    except PlumblineError as error:
        return [error.message]
    return []


def _selects(term: str, record: Record) -> bool:
    """Whether verify, asked for a term, runs a record's check again."""
    return term in record.checks or term in record.id


@contextmanager
def _timed(phases: dict[str, float], name: str) -> Iterator[None]:
    begun = time.monotonic()
    try:
        yield
    finally:
        phases[name] = round(time.monotonic() - begun, 1)
