"""What a run of the suite leaves: one record a check, one verdict a run. The schema of `report.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from lab.checks.outcomes import Outcome

SCHEMA: Final = 1
"""Version of the document; grows when a field changes its meaning or goes away."""


class ReportModel(BaseModel):
    """Frozen; an unknown key is an error, so that a document of another version is never misread."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(ReportModel):
    """Something measured, with the limit it is judged by (None: only reported)."""

    name: str
    value: float
    unit: str
    limit: float | None = None


class Record(ReportModel):
    """One check on one host, or on the lab as a whole (`host` is "" then)."""

    id: str = Field(description="Stable name: file::test[parameters], below tests/acceptance.")
    checks: tuple[str, ...] = Field((), description="Rows of the catalogue, as L1-08.")
    title: str = Field(description="The behaviour in words.")
    layer: str
    host: str = ""
    outcome: Outcome
    seconds: float = 0
    message: str = Field("", description="Why it is not passed; empty for a passed check.")
    expected: str = ""
    seen: str = ""
    command: str = Field("", description="What a person types to see the same.")
    evidence: str = Field("", description="Folder below the run's folder.")
    cause: str = Field("", description="What kept the check from looking, in the words of all that it kept.")
    because: str = Field("", description="Id of the record that tells that cause; empty: this one does.")
    figures: tuple[Figure, ...] = ()


class LayerResult(ReportModel):
    """One layer of a run."""

    name: str
    title: str
    state: Literal["run", "not run", "not part of this lab"]
    reason: str = Field("", description="Why it was not run.")
    seconds: float = 0
    counts: Mapping[Outcome, int] = Field(default_factory=dict)


class TimelineEvent(ReportModel):
    """One piece of work of a build: seconds since the build began."""

    phase: str
    host: str
    start: float
    end: float | None
    changed: bool
    error: str = Field("", description="Why it failed.")


class Timeline(ReportModel):
    """The newest build of this checkout, for the report's picture."""

    command: str
    started: str
    events: tuple[TimelineEvent, ...]


class Verdict(ReportModel):
    """One run of the suite."""

    schema_version: Literal[1] = SCHEMA
    lab: str
    provider: str
    started: str = Field(description="UTC, ISO 8601.")
    seconds: float
    green: bool
    selection: str = ""
    hosts: Mapping[str, str] = Field(description="Role by host, in the inventory's order.")
    versions: Mapping[str, str] = Field(default_factory=dict)
    layers: tuple[LayerResult, ...]
    records: tuple[Record, ...]
    timeline: Timeline | None = None
    notes: tuple[str, ...] = ()

    @property
    def bad(self) -> tuple[Record, ...]:
        """What makes the run red: failed and could-not-tell."""
        return tuple(r for r in self.records if r.outcome in (Outcome.FAILED, Outcome.COULD_NOT_TELL))

    @property
    def findings(self) -> tuple[Record, ...]:
        """What is wrong, each cause once: `bad` without the checks that could not look because of another."""
        return tuple(record for record in self.bad if not record.because)

    def counts(self) -> dict[Outcome, int]:
        """Records by outcome; all four are always there."""
        return count(self.records)


def count(records: Any) -> dict[Outcome, int]:
    """Records by outcome; all four are always there."""
    found = dict.fromkeys(Outcome, 0)
    for record in records:
        found[record.outcome] += 1
    return found
