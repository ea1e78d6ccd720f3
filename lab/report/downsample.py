"""Downsampling: thousands of samples to as many pieces as a screen shows; the worst of each is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lab.report.series import Load, Probe

PIECES = 240
"""On a phone a piece is wider than a pixel, on a desk as wide as four."""


@dataclass
class Piece:
    """What happened within one piece of the time axis. `slow`: ms of the slowest good answer, 0 for none."""

    good: int = 0
    failed: int = 0
    fast: float = 0.0
    slow: float = 0.0

    @property
    def share(self) -> float:
        """Share of failures; 0 where nothing was asked."""
        return self.failed / (self.good + self.failed) if self.failed else 0.0


@dataclass(frozen=True)
class Gap:
    """The longest time without a good answer; `open` when none came until the record's end."""

    begin: float
    end: float
    open: bool

    @property
    def seconds(self) -> float:
        """Its length."""
        return self.end - self.begin


def pieces(probes: Sequence[Probe], begin: float, end: float, number: int = PIECES) -> list[Piece]:
    """Probes by piece of the time from `begin` to `end`.

    A good probe counts where it was sent. A failed one counts in every piece in which the client waited in
    vain: one that hangs for a second is a second of outage, not a dot.
    """
    width = (end - begin) / number or 1.0
    found = [Piece() for _ in range(number)]

    def index(t: float) -> int:
        return min(number - 1, max(0, int((t - begin) / width)))

    for probe in probes:
        first = index(probe.t)
        if probe.ok:
            piece = found[first]
            piece.fast = min(piece.fast, probe.ms) if piece.good else probe.ms
            piece.slow = max(piece.slow, probe.ms)
            piece.good += 1
        else:
            for piece in found[first : index(probe.t + probe.ms / 1000) + 1]:
                piece.failed += 1
    return found


def longest_gap(probes: Sequence[Probe]) -> Gap:
    """Between the ends of two successive good answers, or from the last one to the record's end."""
    ends = sorted(probe.t + probe.ms / 1000 for probe in probes if probe.ok)
    begin = min(probe.t for probe in probes)
    last = max(probe.t + probe.ms / 1000 for probe in probes)
    places = [begin, *ends]
    found = [Gap(early, late, False) for early, late in zip(places, ends, strict=False)]
    return max([*found, Gap(places[-1], last, True)], key=lambda gap: gap.seconds)


def trouble(probes: Sequence[Probe]) -> float:
    """Seconds from the first failure to the end of the last, whatever was answered in between."""
    failed = [probe for probe in probes if not probe.ok]
    return max((p.t + p.ms / 1000 for p in failed), default=0.0) - min((p.t for p in failed), default=0.0)


def answered(probes: Sequence[Probe], most: int = 6) -> list[tuple[str, int]]:
    """Good answers by who gave them, the most frequent first; those beyond `most` are summed up."""
    counts = Counter(probe.by for probe in probes if probe.ok and probe.by).most_common()
    rest = sum(number for _, number in counts[most:])
    return counts[:most] + ([(f"{len(counts) - most} others", rest)] if rest else [])


def thinned(load: Sequence[Load], number: int = PIECES) -> list[Load]:
    """Neighbouring intervals put together: requests and failures added, of each percentile the worst.

    The percentile of a longer interval cannot be had from those of its parts; the worst hides nothing.
    """
    size = -(-len(load) // number) if load else 1
    groups = [load[at : at + size] for at in range(0, len(load), size)]
    return [
        Load(
            t=group[0].t,
            seconds=sum(item.seconds for item in group),
            requests=sum(item.requests for item in group),
            failures=sum(item.failures for item in group),
            p50=max(item.p50 for item in group),
            p95=max(item.p95 for item in group),
            p99=max(item.p99 for item in group),
            max=max(item.max for item in group),
        )
        for group in groups
    ]
