"""One cause is one finding: checks that could not look because of it say so and point at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from lab.checks.outcomes import SILENT, Outcome
from lab.checks.record import Record
from lab.checks.words import cut

JUDGED_BY: Mapping[str, str] = MappingProxyType({SILENT: "L2-02"})
"""The row that judges what is elsewhere a cause of not being able to look."""


def pointed(records: Sequence[Record]) -> list[Record]:
    """The records of a layer; of those that one cause kept from looking all but the one that tells it point
    at that. It is told by the check that judges it, if that is red, else by the first that met it. A record
    that points already is given the words.
    """
    told: dict[str, Record] = {}
    for record in records:
        for cause, row in JUDGED_BY.items():
            if record.outcome is Outcome.FAILED and row in record.checks:
                told.setdefault(cause, record)
    by_id = {record.id: record for record in records}
    found = []
    for record in records:
        if record.outcome is Outcome.COULD_NOT_TELL and record.cause:
            finding = by_id.get(record.because) or told.setdefault(record.cause, record)
            if finding is not record:
                record = _pointing(record, finding)
        found.append(record)
    return found


def _pointing(record: Record, finding: Record) -> Record:
    rows = ", ".join(finding.checks)
    told = cut(record.cause.splitlines()[0], 160)
    message = f"could not look: {told}; see {f'{rows} ' if rows else ''}{finding.title}"
    return record.model_copy(update={"message": message, "because": finding.id})
