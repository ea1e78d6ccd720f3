"""The same measurement many times over: its histogram, with median, 95th percentile and worst."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lab.report.axes import Axis, Tick, nice_axis
from lab.report.series import Gaps

COLUMNS = 12
"""A histogram of twenty trials has no more to say."""


@dataclass(frozen=True)
class Column:
    """Trials of one range of values; sizes in percent."""

    left: float
    width: float
    height: float
    number: int
    text: str
    over: bool


@dataclass(frozen=True)
class HistogramLine:
    """A value of note, with its label's row so that labels do not meet."""

    left: float
    name: str
    text: str
    row: int


@dataclass(frozen=True)
class Histogram:
    """Trials by how long they took; `never` came back in none of the time that was given."""

    name: str
    trials: int
    never: int
    limit: str
    limit_left: float | None
    limit_of: str
    over: bool
    columns: tuple[Column, ...]
    lines: tuple[HistogramLine, ...]
    ticks: tuple[Tick, ...]
    counts: tuple[Tick, ...]


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least `share` of all do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


def histogram(gaps: Gaps) -> Histogram:
    """The picture of a row of trials. A trial that never came back is longer than any other."""
    all_of_them = [math.inf if value is None else value for value in gaps.seconds]
    there = [value for value in all_of_them if math.isfinite(value)]
    axis, ticks = nice_axis(max([*there, gaps.limit or 0.0]), most=6)
    held = _counted(there, axis)
    counts, count_ticks = nice_axis(max(held), most=4)
    wide = (axis.high - axis.low) / COLUMNS
    values = {
        name: percentile(all_of_them, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))
    }
    judged = values[gaps.limit_of]
    return Histogram(
        name=gaps.name,
        trials=len(all_of_them),
        never=len(all_of_them) - len(there),
        limit="" if gaps.limit is None else f"{gaps.limit:g} s",
        limit_left=None if gaps.limit is None else axis.at(gaps.limit),
        limit_of=gaps.limit_of,
        over=gaps.limit is not None and judged > gaps.limit,
        columns=tuple(
            Column(
                left=axis.at(n * wide),
                width=round(100 / COLUMNS, 2),
                height=counts.at(number),
                number=number,
                text=f"{number} of {len(all_of_them)} between {n * wide:.2f} s and {(n + 1) * wide:.2f} s",
                over=gaps.limit is not None and n * wide >= gaps.limit,
            )
            for n, number in enumerate(held)
            if number
        ),
        lines=tuple(
            HistogramLine(axis.at(value) if math.isfinite(value) else 100.0, name, _said(value), row)
            for row, (name, value) in enumerate(values.items())
        ),
        ticks=tuple(Tick(tick.at, f"{tick.text} s") for tick in ticks),
        counts=tuple(tick for tick in count_ticks if float(tick.text).is_integer()),
    )


def _counted(values: Sequence[float], axis: Axis) -> list[int]:
    held = [0] * COLUMNS
    for value in values:
        held[min(COLUMNS - 1, int(value / axis.high * COLUMNS))] += 1
    return held


def _said(value: float) -> str:
    return f"{value:.2f} s" if math.isfinite(value) else "never"
