"""What proves that a row's checks can fail: the file that a selftest leaves, and how a page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from pydantic import Field, ValidationError

from lab.checks.record import ReportModel

DEFENCES = "defences.json"
CAUGHT = ("caught", "caught alone")
"""Verdicts of a defect that its row has named."""


class Defence(ReportModel):
    """A row with a test, and the seeded defects that it must name."""

    row: str
    title: str
    tests: tuple[str, ...] = Field(description="What each of its tests says.")
    defects: Mapping[str, str] = Field(description="Verdict by name; empty for one that this run left out.")
    reason: str = Field("", description="Why no defect proves it.")

    @property
    def open(self) -> bool:
        """Whether nothing proves it, and nobody says why."""
        return not self.defects and not self.reason

    @property
    def missed(self) -> tuple[str, ...]:
        """Defects of this run that it did not name."""
        return tuple(name for name, verdict in self.defects.items() if verdict not in ("", *CAUGHT))


class Defences(ReportModel):
    """All rows with a test, as one selftest left them."""

    started: str
    rows: tuple[Defence, ...]

    @property
    def proven(self) -> tuple[Defence, ...]:
        """Rows that a defect proves."""
        return tuple(row for row in self.rows if row.defects)

    @property
    def excused(self) -> tuple[Defence, ...]:
        """Rows without a defect, and with a reason."""
        return tuple(row for row in self.rows if not row.defects and row.reason)

    @property
    def open(self) -> tuple[Defence, ...]:
        """Rows that nothing proves."""
        return tuple(row for row in self.rows if row.open)

    @property
    def defects(self) -> frozenset[str]:
        """The names of all defects."""
        return frozenset(name for row in self.rows for name in row.defects)

    @property
    def caught(self) -> frozenset[str]:
        """The names of those that this run proved."""
        missed = {name for row in self.rows for name in row.missed}
        tried = {name for row in self.rows for name, verdict in row.defects.items() if verdict in CAUGHT}
        return frozenset(tried - missed)


def newest_defences(runs: Path) -> Defences | None:
    """What the newest selftest of this checkout left; None when there was none."""
    for path in sorted(runs.glob(f"*Z/{DEFENCES}"), reverse=True):
        found = defences_in(path)
        if found:
            return found
    return None


def defences_in(path: Path) -> Defences | None:
    """What a file holds; None for one that a killed run left by half, or of another version."""
    try:
        return Defences.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def described(started: datetime, rows: tuple[Defence, ...]) -> str:
    """The text of the file."""
    return Defences(started=started.isoformat(timespec="seconds"), rows=rows).model_dump_json(indent=1)
