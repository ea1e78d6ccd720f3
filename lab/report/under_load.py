"""A load run over time: percentiles of the answers' times, throughput and failures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.report.axes import Axis, Tick, latency, latency_axis, nice_axis, spread
from lab.report.downsample import thinned
from lab.report.series import Load, Series

LINES: tuple[tuple[str, Callable[[Load], float]], ...] = (
    ("p50", lambda item: item.p50),
    ("p95", lambda item: item.p95),
    ("p99", lambda item: item.p99),
    ("max", lambda item: item.max),
)
LABEL = 14.0
"""Height of a label in percent of the picture's."""


@dataclass(frozen=True)
class Curve:
    """One percentile over time; its name stands at the right edge, `label_at` percent above the ground."""

    name: str
    path: str
    label_at: float
    worst: str


@dataclass(frozen=True)
class LoadPicture:
    """Percentiles on a logarithmic axis, and requests a second with the failed ones."""

    curves: tuple[Curve, ...]
    latency_ticks: tuple[Tick, ...]
    limit_at: float | None
    limit: str
    rate: str
    failures: str
    rate_ticks: tuple[Tick, ...]
    requests: int
    failed: int
    average: float
    lowest: float
    share: float


def load_picture(series: Series, axis: Axis) -> LoadPicture:
    """The picture of a series' load. `axis` is the story's time."""
    load = thinned(series.load)
    limit = [series.load_limit_ms] if series.load_limit_ms else []
    # an interval without a request has no latency, not one of nothing
    timed = [item for item in load if item.requests]
    scale, latency_ticks = latency_axis(
        [ms for item in timed for ms in (item.p50, item.max)] + limit or [1.0]
    )
    ends = [scale.at(value(timed[-1])) if timed else 0.0 for _, value in LINES]
    whole = sum(item.requests for item in load)
    failed = sum(item.failures for item in load)
    rates = [item.requests / item.seconds for item in load]
    lowest = min(item.requests / item.seconds for item in series.load)
    rate_axis, rate_ticks = nice_axis(max(rates))
    return LoadPicture(
        curves=tuple(
            Curve(name, _curve(load, value, axis, scale), place, latency(max(map(value, timed), default=0.0)))
            for (name, value), place in zip(LINES, spread(ends, LABEL), strict=True)
        ),
        latency_ticks=latency_ticks,
        limit_at=scale.at(limit[0]) if limit else None,
        limit=latency(limit[0]) if limit else "",
        rate=_steps(load, rates, axis, rate_axis),
        failures=_steps(load, [item.failures / item.seconds for item in load], axis, rate_axis),
        rate_ticks=rate_ticks,
        requests=whole,
        failed=failed,
        average=whole / sum(item.seconds for item in load),
        lowest=lowest,
        share=100 * failed / whole if whole else 0.0,
    )


def _curve(load: Sequence[Load], value: Callable[[Load], float], axis: Axis, scale: Axis) -> str:
    """A line through the middles of the intervals, broken where there was no request."""
    found, pen = [], "M"
    for item in load:
        if not item.requests:
            pen = "M"
            continue
        x = 10 * axis.at(item.t + item.seconds / 2)
        found.append(f"{pen}{x:.1f} {100 - scale.at(value(item)):.1f}h.1")  # a lone interval is a dot
        pen = "L"
    return "".join(found)


def _steps(load: Sequence[Load], rates: Sequence[float], axis: Axis, scale: Axis) -> str:
    """A column for each interval in which there was something, high enough to be seen."""
    found = []
    for item, rate in zip(load, rates, strict=True):
        if rate:
            left, right = 10 * axis.at(item.t), 10 * axis.at(item.t + item.seconds)
            found.append(f"M{left:.1f} 100V{100 - max(scale.at(rate), 3.0):.1f}H{right:.1f}V100Z")
    return "".join(found)
