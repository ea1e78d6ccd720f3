"""Scales of the report's pictures: a value to its place in percent, and ticks that a person reads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400)
"""Distances of ticks on a time axis, in seconds: those that clocks and people count by."""
SHORTEST_MS = 0.1
"""Where a logarithmic axis ends below: faster answers are drawn there."""


@dataclass(frozen=True)
class Tick:
    """A labelled place on an axis; `at` in percent of its length."""

    at: float
    text: str


@dataclass(frozen=True)
class Axis:
    """From `low` to `high`; `log` for values over several powers of ten."""

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Place of a value in percent; beyond the ends it is drawn at the end."""
        low, high, value = map(self._scaled, (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.0
        return round(100 * min(1.0, max(0.0, share)), 2)

    def _scaled(self, value: float) -> float:
        return math.log10(max(value, SHORTEST_MS)) if self.log else value


def seconds_ticks(axis: Axis, zero: float = 0.0, most: int = 7) -> tuple[Tick, ...]:
    """Ticks of a time axis, counted from `zero`."""
    span = axis.high - axis.low
    step = next((s for s in STEPS if span / s <= most), 86400 * math.ceil(span / most / 86400))
    first, last = math.ceil((axis.low - zero) / step - 1e-9), math.floor((axis.high - zero) / step + 1e-9)
    return tuple(Tick(axis.at(zero + n * step), clock(n * step)) for n in range(first, last + 1))


def nice_axis(highest: float, most: int = 4) -> tuple[Axis, tuple[Tick, ...]]:
    """An axis from 0 to a round number not below `highest`, with ticks at round numbers."""
    if highest <= 0:
        return Axis(0, 1), (Tick(0, "0"),)
    power = 10.0 ** math.floor(math.log10(highest / most))
    step = next(power * m for m in (1, 2, 5, 10, 20) if power * m * most >= highest)
    axis = Axis(0, step * math.ceil(highest / step - 1e-9))
    return axis, tuple(Tick(axis.at(n * step), f"{n * step:g}") for n in range(round(axis.high / step) + 1))


def latency_axis(values: Sequence[float]) -> tuple[Axis, tuple[Tick, ...]]:
    """A logarithmic axis of whole powers of ten around milliseconds, with a tick at each."""
    low = math.floor(math.log10(max(min(values), SHORTEST_MS)))
    high = max(math.ceil(math.log10(max(*values, SHORTEST_MS))), low + 1)
    axis = Axis(10.0**low, 10.0**high, log=True)
    return axis, tuple(Tick(axis.at(10.0**n), latency(10.0**n)) for n in range(low, high + 1))


def clock(seconds: float) -> str:
    """A moment or a distance on a time axis: 5 s, 2 min, 1:30 min, -10 s."""
    if abs(seconds) < 60:
        return f"{round(seconds, 3):g} s"
    sign, whole = "-" if seconds < 0 else "", abs(round(seconds))
    return f"{sign}{whole // 60} min" if whole % 60 == 0 else f"{sign}{whole // 60}:{whole % 60:02} min"


def latency(ms: float) -> str:
    """Milliseconds for people, in three digits."""
    return f"{ms / 1000:.3g} s" if ms >= 1000 else f"{ms:.3g} ms"


def spread(places: Sequence[float], distance: float) -> list[float]:
    """Places in percent moved so that labels there do not cover each other, in their order from below."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, index in pairwise(order):
        moved[index] = max(moved[index], moved[before] + distance)
    top = 100.0
    for index in reversed(order):
        moved[index] = round(min(moved[index], top), 2)
        top = moved[index] - distance
    return moved
