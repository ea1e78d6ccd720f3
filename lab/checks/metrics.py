"""Prometheus' text format, as far as checks need it: values, and quantiles of histograms."""

from __future__ import annotations

import re
from collections.abc import Mapping

LINE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})?\s+(?P<value>\S+)", re.MULTILINE)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """All samples of a metric: labels and value."""
    return [
        (dict(LABEL.findall(match["labels"] or "")), float(match["value"]))
        for match in LINE.finditer(text)
        if match["name"] == name
    ]


def value(text: str, name: str) -> float | None:
    """The sum of a metric's samples; None when there is none."""
    found = samples(text, name)
    return sum(number for _, number in found) if found else None


def quantile(text: str, histogram: str, share: float) -> float | None:
    """The quantile of a histogram: linear inside the bucket, as Prometheus does; None without samples.

    Above the last finite bucket its bound is given, which is then a lower limit of the truth.
    """
    buckets: dict[float, float] = {}
    for labels, number in samples(text, f"{histogram}_bucket"):
        bound = float(labels["le"].replace("+Inf", "inf"))
        buckets[bound] = buckets.get(bound, 0.0) + number
    return _of_buckets(buckets, share)


def _of_buckets(buckets: Mapping[float, float], share: float) -> float | None:
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0.0
    if not total:
        return None
    wanted, lower, below = share * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            if bound == float("inf"):
                return lower
            inside = buckets[bound] - below
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 1.0)
        lower, below = bound, buckets[bound]
    return lower
