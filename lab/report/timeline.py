"""The picture of a build: what was done on which host, and when."""

from __future__ import annotations

from dataclasses import dataclass

from lab.checks.record import Timeline, TimelineEvent
from lab.report.axes import Axis, Tick, seconds_ticks

COLOURS = 8
NARROWEST = 0.4
"""Percent of the whole: a step of no time at all is still seen."""


@dataclass(frozen=True)
class StepBar:
    """One piece of work; `left` and `width` in percent of the whole, times in seconds since the beginning."""

    phase: str
    left: float
    width: float
    start: float
    seconds: float
    changed: bool
    error: str
    colour: int


@dataclass(frozen=True)
class BuildPicture:
    """Bars by host, in the order in which hosts first appear."""

    command: str
    started: str
    seconds: float
    rows: dict[str, tuple[StepBar, ...]]
    ticks: tuple[Tick, ...]

    @property
    def failed(self) -> list[tuple[str, StepBar]]:
        """Host and bar of every step that failed."""
        return [(host, bar) for host, bars in self.rows.items() for bar in bars if bar.error]


def build_picture(timeline: Timeline) -> BuildPicture:
    """The picture of a timeline."""
    axis = Axis(0.0, max((_end(event) for event in timeline.events), default=0.0) or 1.0)
    phases = list(dict.fromkeys(_family(event) for event in timeline.events))
    rows: dict[str, tuple[StepBar, ...]] = {}
    for event in timeline.events:
        left, took = axis.at(event.start), _end(event) - event.start
        bar = StepBar(
            phase=event.phase,
            left=left,
            width=round(max(axis.at(_end(event)) - left, NARROWEST), 2),
            start=round(event.start, 1),
            seconds=round(took, 1),
            changed=event.changed,
            error=event.error,
            colour=phases.index(_family(event)) % COLOURS,
        )
        host = event.host or "lab"
        rows[host] = (*rows.get(host, ()), bar)
    return BuildPicture(
        timeline.command.removeprefix("invoke "), timeline.started, axis.high, rows, seconds_ticks(axis)
    )


def _family(event: TimelineEvent) -> str:
    """Phases of one kind share a colour: addon-flannel and addon-metallb."""
    return event.phase.partition("-")[0]


def _end(event: TimelineEvent) -> float:
    return event.end if event.end is not None else event.start
