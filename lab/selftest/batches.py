"""Which defects may be in place at the same time, from what each says of itself, and few waves of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.checks.outcomes import Outcome
from lab.selftest.defect import Breakage, Defect, Slip

FEW = 6
"""How many defects of a wave a line about it names."""
TOLD_TOGETHER = 4
"""So many defects may one check have to name at the same time: its message is for people, and short."""


@dataclass(frozen=True)
class Batch:
    """Defects of one layer that are applied together."""

    layer: str
    defects: tuple[Defect, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """What verify selects, so that all checks that must name them are run."""
        return tuple(dict.fromkeys(one.term for defect in self.defects for one in defect.told))

    @property
    def title(self) -> str:
        """Its defects in one line: the first of them by name."""
        names = [defect.name for defect in self.defects]
        more = len(names) - FEW
        return f"{', '.join(names[:FEW])}{f' and {more} more' if more > 0 else ''}"


def batches(defects: Sequence[Defect]) -> list[Batch]:
    """Pack defects of one layer into few waves; those that settle slowly come last.

    Those with the most conflicts choose first, each the first wave in which it meets none of its own.
    """
    foes = {one.name: sum(bool(conflict(one, other)) for other in defects) for one in defects}
    packed: list[list[Defect]] = []
    for defect in sorted(defects, key=lambda item: (item.settles, -foes[item.name])):
        room = next((wave for wave in packed if fits(wave, defect)), None)
        if room is None:
            packed.append([defect])
        else:
            room.append(defect)
    packed.sort(key=lambda wave: wave[0].settles)
    return [Batch(wave[0].layer, tuple(wave)) for wave in packed]


def fits(wave: Sequence[Defect], defect: Defect) -> bool:
    """Whether a defect may be in place together with those of a wave."""
    told = Counter(spot for other in wave for spot in _spots(other))
    full = any(told[spot] >= TOLD_TOGETHER for spot in _spots(defect))
    return not full and not any(conflict(defect, other) for other in wave)


def conflict(one: Defect, other: Defect) -> str:
    """Why two defects may not be in place together; "" when they may."""
    for item in (one, other):
        if item.alone:
            return f"{item.name} stands alone"
        if not item.things:
            return f"{item.name} does not say what it touches"
    if one.layer != other.layer:
        return "they are looked at by different layers"
    if one.settles is not other.settles:
        return "one of them settles, the other is gone at once"
    shared = sorted(one.things & other.things)
    if shared:
        return f"both touch {', '.join(shared)}"
    return _unheard(one, other) or _hindered(one, other) or _hindered(other, one)


def _spots(defect: Defect) -> dict[tuple[str, str], str]:
    """The checks that must speak, and their words. A mistake in a template is seen on every host, whichever
    is expected."""
    anywhere = isinstance(defect, Slip)
    return {(one.row, "" if anywhere else one.host): one.says for one in defect.told}


def _unheard(one: Defect, other: Defect) -> str:
    """Why one check cannot name both."""
    mine, others = _spots(one), _spots(other)
    for spot in mine.keys() & others.keys():
        if not (one.listed and other.listed):
            return f"{spot[0]} tells of one of them only"
        if re.search(mine[spot], others[spot]) or re.search(others[spot], mine[spot]):
            return "the words of one would be taken for those of the other"
    return ""


def _hindered(one: Defect, other: Defect) -> str:
    """Why `one` keeps `other` from being applied, named or undone."""
    hidden = sorted(other.rows & set(one.reddens))
    if hidden and not other.listed:
        return f"{one.name} turns {', '.join(hidden)} red as well"
    missing = sorted(set(one.stops) & set(other.needs))
    if missing:
        return f"{other.name} needs {', '.join(missing)}, which {one.name} stops"
    if isinstance(one, Breakage) and isinstance(other, Breakage) and one.outcome is Outcome.COULD_NOT_TELL:
        # what keeps verify from looking at a machine hides the rest of it, and blinds who compares all
        seen = {other.host, other.place}
        if one.place in seen or "" in seen:
            return f"{one.name} keeps verify from looking at {one.place}"
    return ""
