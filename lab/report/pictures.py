"""A series as pictures: places in percent and paths of a 1000 x 100 box, for the template to draw.

Shapes stretch with the page while their labels are text of the page beside them: readable at any width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab.report.alert_lanes import AlertPicture, alert_picture
from lab.report.axes import Axis, Tick, clock, latency, latency_axis, seconds_ticks
from lab.report.downsample import PIECES, Piece, answered, longest_gap, pieces, trouble
from lab.report.series import Series, SeriesMark, Share, Target
from lab.report.trials import Histogram, histogram
from lab.report.under_load import LoadPicture, load_picture

COLOURS = 8


@dataclass(frozen=True)
class Moment:
    """A mark on the time axis; `text` stands left of its line when it is near the right edge."""

    left: float
    kind: str
    text: str
    when: str

    @property
    def leftwards(self) -> bool:
        """Whether its text would run out of the picture."""
        return self.left > 55


@dataclass(frozen=True)
class Lane:
    """One target: whether it answered (strip), how fast (ranges of good answers), and its longest gap."""

    name: str
    sent: int
    failed: int
    within: str
    gap: str
    over: bool
    never: bool
    gap_left: float
    gap_width: float
    limit: str
    slowest: str
    good: str
    bad: str
    ranges: str
    answered: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Span:
    """How long one held something; `colour` -1 when nobody did."""

    name: str
    left: float
    width: float
    since: str
    took: str
    colour: int


@dataclass(frozen=True)
class ShareBar:
    """Requests that a pod answered, in percent of the largest."""

    pod: str
    node: str
    requests: int
    width: float
    share: float
    colour: int


@dataclass(frozen=True)
class SeriesPicture:
    """Everything to be drawn of one series."""

    title: str
    checks: tuple[str, ...]
    test: str
    started: str
    lasted: str
    ticks: tuple[Tick, ...]
    moments: tuple[Moment, ...]
    faults: tuple[tuple[float, float], ...]
    lanes: tuple[Lane, ...]
    latency_ticks: tuple[Tick, ...]
    holders: tuple[tuple[str, tuple[Span, ...]], ...]
    histograms: tuple[Histogram, ...]
    load: LoadPicture | None
    shares: tuple[ShareBar, ...]
    alerts: AlertPicture | None


def series_picture(series: Series) -> SeriesPicture:
    """The pictures of a series."""
    axis = _time(series)
    zero = next((mark.t for mark in series.marks if mark.kind == "fault"), axis.low)
    cut = {target.name: pieces(target.probes, axis.low, axis.high) for target in series.targets}
    answers = [ms for items in cut.values() for item in items if item.good for ms in (item.fast, item.slow)]
    scale, latency_ticks = latency_axis(answers or [1.0])
    timed = bool(series.targets or series.holders or series.load)
    return SeriesPicture(
        title=series.title,
        checks=series.checks,
        test=series.test,
        started=series.started,
        lasted=clock(round(axis.high - axis.low, 1)) if timed else "",
        ticks=seconds_ticks(axis, zero) if timed else (),
        moments=tuple(_moment(mark, axis, zero) for mark in sorted(series.marks, key=lambda mark: mark.t)),
        faults=tuple(_faults(series.marks, axis)),
        lanes=tuple(_lane(target, cut[target.name], axis, scale, zero) for target in series.targets),
        latency_ticks=latency_ticks,
        holders=_holders(series, axis, zero),
        histograms=tuple(histogram(gaps) for gaps in series.gaps),
        load=load_picture(series, axis) if series.load else None,
        shares=_shares(series.shares),
        alerts=alert_picture(series.alerts, axis, zero) if series.alerts else None,
    )


def _time(series: Series) -> Axis:
    """From the first to the last thing that was recorded."""
    begins = [probe.t for target in series.targets for probe in target.probes]
    ends = [probe.t + probe.ms / 1000 for target in series.targets for probe in target.probes]
    begins += [item.t for item in series.load]
    ends += [item.t + item.seconds for item in series.load]
    if not begins:
        begins = ends = [*(item.t for item in series.holders), *(item.t for item in series.marks)] or [0.0]
    return Axis(min(begins), max(ends))


def _moment(mark: SeriesMark, axis: Axis, zero: float) -> Moment:
    return Moment(axis.at(mark.t), mark.kind, mark.text, clock(round(mark.t - zero, 2)))


def _faults(marks: Sequence[SeriesMark], axis: Axis) -> Iterable[tuple[float, float]]:
    """Left and width of each time during which something was broken."""
    began: float | None = None
    for mark in sorted(marks, key=lambda mark: mark.t):
        if mark.kind == "fault" and began is None:
            began = mark.t
        elif mark.kind == "healed" and began is not None:
            yield _between(axis, began, mark.t)
            began = None
    if began is not None:
        yield _between(axis, began, axis.high)


def _between(axis: Axis, begin: float, end: float) -> tuple[float, float]:
    left = axis.at(begin)
    return left, round(axis.at(end) - left, 2)


def _lane(target: Target, cut: Sequence[Piece], axis: Axis, scale: Axis, zero: float) -> Lane:
    gap = longest_gap(target.probes)
    left, width = _between(axis, gap.begin, gap.end)
    good = [probe for probe in target.probes if probe.ok]
    slowest = max(good, key=lambda probe: probe.ms, default=None)
    return Lane(
        name=target.name,
        sent=len(target.probes),
        failed=len(target.probes) - len(good),
        within=clock(round(trouble(target.probes), 1)),
        gap=f"{gap.seconds:.2f} s",
        over=target.limit is not None and (gap.open or gap.seconds > target.limit),
        never=gap.open,
        gap_left=left,
        gap_width=width,
        limit="" if target.limit is None else f"{target.limit:g} s",
        slowest=f"{latency(slowest.ms)} at {clock(round(slowest.t - zero, 1))}" if slowest else "",
        # heights differ as well as colours: what failed stands tall
        good=_columns([30.0 * (item.good > 0) for item in cut]),
        bad=_columns([max(50.0, 100 * item.share) if item.failed else 0.0 for item in cut]),
        ranges=_ranges(cut, scale),
        answered=tuple(answered(target.probes)),
    )


def _columns(heights: Sequence[float]) -> str:
    """Neighbouring columns from the ground as one path, in a box of 1000 x 100."""
    wide = 1000 / len(heights)
    return "".join(
        f"M{n * wide:.1f} 100V{100 - height:.0f}H{(n + 1) * wide:.1f}V100Z"
        for n, height in enumerate(heights)
        if height
    )


def _ranges(cut: Sequence[Piece], scale: Axis) -> str:
    """For each piece a line from the fastest to the slowest good answer."""
    found = []
    for n, item in enumerate(cut):
        if item.good:
            x = (n + 0.5) * 1000 / PIECES
            found.append(f"M{x:.1f} {100 - scale.at(item.fast):.1f}V{100 - scale.at(item.slow) - 0.1:.1f}")
    return "".join(found)


def _holders(series: Series, axis: Axis, zero: float) -> tuple[tuple[str, tuple[Span, ...]], ...]:
    """Who held each thing; the same name has the same colour in all of them."""
    names = list(dict.fromkeys(item.name for item in series.holders if item.name))
    found = []
    for what in dict.fromkeys(item.what for item in series.holders):
        changes = sorted((item for item in series.holders if item.what == what), key=lambda item: item.t)
        until = [item.t for item in changes[1:]] + [max(axis.high, changes[-1].t)]
        spans = [
            Span(
                item.name,
                *_between(axis, item.t, end),
                clock(round(item.t - zero, 2)),
                clock(round(end - item.t, 2)),
                names.index(item.name) % COLOURS if item.name else -1,
            )
            for item, end in zip(changes, until, strict=True)
        ]
        found.append((what, tuple(spans)))
    return tuple(found)


def _shares(shares: Sequence[Share]) -> tuple[ShareBar, ...]:
    """Pods of one node stand together and have its colour."""
    most = max((item.requests for item in shares), default=0) or 1
    whole = sum(item.requests for item in shares) or 1
    nodes = sorted({item.node for item in shares})
    return tuple(
        ShareBar(
            item.pod,
            item.node,
            item.requests,
            round(100 * item.requests / most, 1),
            round(100 * item.requests / whole, 1),
            nodes.index(item.node) % COLOURS,
        )
        for item in sorted(shares, key=lambda item: (item.node, item.pod))
    )
