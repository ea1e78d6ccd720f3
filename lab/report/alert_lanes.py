"""What the platform's own alerts said during a fault: a lane an alert, on the clients' time axis."""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks.alerts import AlertSpan, AlertsSeen
from lab.report.axes import Axis, clock


@dataclass(frozen=True)
class AlertBar:
    """How long an alert was in one state."""

    state: str
    left: float
    width: float
    since: str
    took: str


@dataclass(frozen=True)
class AlertLane:
    """One alert on one object."""

    name: str
    of: str
    severity: str
    bars: tuple[AlertBar, ...]


@dataclass(frozen=True)
class AlertPicture:
    """All alerts of a time; without lanes there was none, or `unread` says why nobody knows."""

    lanes: tuple[AlertLane, ...]
    unread: str


def alert_picture(seen: AlertsSeen, axis: Axis, zero: float) -> AlertPicture:
    """The lanes in the order in which their alerts began; times are counted from `zero`."""
    found: dict[tuple[str, str, str], list[AlertSpan]] = {}
    for span in sorted(seen.spans, key=lambda span: span.t):
        found.setdefault((span.name, span.of, span.severity), []).append(span)
    lanes = tuple(
        AlertLane(*key, tuple(_bar(span, axis, zero) for span in held)) for key, held in found.items()
    )
    return AlertPicture(lanes, seen.unread)


def _bar(span: AlertSpan, axis: Axis, zero: float) -> AlertBar:
    left = axis.at(span.t)
    return AlertBar(
        span.state,
        left,
        round(axis.at(span.until) - left, 2),
        clock(round(span.t - zero, 1)),
        clock(round(span.until - span.t, 1)),
    )
