"""Which defects may be in place at the same time: those that different checks must name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.checks.outcomes import Outcome
from lab.selftest.defect import Breakage, Defect, Slip


@dataclass(frozen=True)
class Wave:
    """Defects of one layer that are applied together."""

    layer: str
    defects: tuple[Defect, ...]

    @property
    def rows(self) -> tuple[str, ...]:
        """The rows that must name them."""
        return tuple(dict.fromkeys(defect.row for defect in self.defects))


def waves(defects: Sequence[Defect]) -> list[Wave]:
    """Pack defects of one layer into few waves; those that settle slowly come last.

    A defect goes into the first wave in which no other has its row on its host: one check can tell of one
    mismatch only. One that stands alone has a wave of its own.
    """
    packed: list[list[Defect]] = []
    for defect in sorted(defects, key=lambda item: item.settles):
        room = next((wave for wave in packed if all(_together(defect, other) for other in wave)), None)
        if room is None:
            packed.append([defect])
        else:
            room.append(defect)
    return [Wave(wave[0].layer, tuple(wave)) for wave in packed]


def _together(one: Defect, other: Defect) -> bool:
    if one.alone or other.alone or one.settles is not other.settles:
        return False
    if (one.row, one.host) == (other.row, other.host):
        return False
    if one.host == other.host and Outcome.COULD_NOT_TELL in (one.outcome, other.outcome):
        return False  # what keeps verify from looking hides the rest of that host
    if isinstance(one, Breakage) and isinstance(other, Breakage):
        return one.damage != other.damage or one.place != other.place
    # a mistake in a template is seen on every host
    return not isinstance(one, Slip) or one.row != other.row
