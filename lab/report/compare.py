"""What changed between two runs of the suite."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from lab.checks.outcomes import Outcome
from lab.checks.record import Record, Verdict

GREEN = (Outcome.PASSED, Outcome.SKIPPED)


@dataclass(frozen=True)
class Difference:
    """Checks by what became of them, as the newer run has them (gone: as the older one had them)."""

    older: str
    """When the older run began."""
    broken: tuple[Record, ...]
    mended: tuple[Record, ...]
    still_bad: tuple[Record, ...]
    added: tuple[Record, ...]
    gone: tuple[Record, ...]
    figures: tuple[tuple[str, float, float, str], ...]
    """Name, older value, newer value, unit of every figure that both runs measured."""

    @property
    def kinds(self) -> list[tuple[str, Outcome, tuple[Record, ...]]]:
        """What became of checks in a word, the outcome it looks like, and the checks; the worst first."""
        found = [
            ("broken", Outcome.FAILED, self.broken),
            ("still bad", Outcome.COULD_NOT_TELL, self.still_bad),
            ("mended", Outcome.PASSED, self.mended),
            ("added", Outcome.SKIPPED, self.added),
            ("gone", Outcome.SKIPPED, self.gone),
        ]
        return [item for item in found if item[2]]

    def lines(self) -> Iterator[str]:
        """The difference for people, the worst first."""
        for word, _, records in self.kinds:
            for record in records:
                place = f" on {record.host}" if record.host else ""
                yield f"{word}: {' '.join(record.checks)} {record.title}{place}"
        for name, old, new, unit in self.figures:
            yield f"{name}: {old:g} -> {new:g} {unit}".rstrip()


def compare(old: Verdict, new: Verdict) -> Difference:
    """What changed from `old` to `new`, by the stable names of checks."""
    before = {record.id: record for record in old.records}
    after = {record.id: record for record in new.records}
    both = [(before[name], record) for name, record in after.items() if name in before]
    return Difference(
        older=old.started,
        broken=tuple(n for o, n in both if o.outcome in GREEN and n.outcome not in GREEN),
        mended=tuple(n for o, n in both if o.outcome not in GREEN and n.outcome in GREEN),
        still_bad=tuple(n for o, n in both if o.outcome not in GREEN and n.outcome not in GREEN),
        added=tuple(record for name, record in after.items() if name not in before),
        gone=tuple(record for name, record in before.items() if name not in after),
        figures=tuple(_figures(both)),
    )


def _figures(both: list[tuple[Record, Record]]) -> Iterator[tuple[str, float, float, str]]:
    for old, new in both:
        held = {figure.name: figure.value for figure in old.figures}
        place = f"{new.host}: " if new.host else ""
        for figure in new.figures:
            if figure.name in held:
                yield place + figure.name, held[figure.name], figure.value, figure.unit
