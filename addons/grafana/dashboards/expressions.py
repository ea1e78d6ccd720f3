"""The shapes of PromQL that most panels have. A series is written with its selector: `name{job="..."}`."""

from __future__ import annotations


def rate(series: str, *by: str) -> str:
    """How much counters grow a second, summed by labels."""
    return f"sum{_by(by)} (rate({series}[$__rate_interval]))"


def growth(series: str, *by: str) -> str:
    """By how much counters have grown since the point before, summed by labels."""
    return f"sum{_by(by)} (increase({series}[$__rate_interval]))"


def quantile(share: float, buckets: str, *by: str) -> str:
    """The value that a share of observations does not exceed, by labels; NaN while nothing is observed."""
    return f"histogram_quantile({share}, sum{_by((*by, 'le'))} (rate({buckets}[$__rate_interval])))"


def or_zero(expr: str) -> str:
    """An expression without labels that counts what may never have happened."""
    return f"({expr} or vector(0))"


def _by(labels: tuple[str, ...]) -> str:
    return f" by ({', '.join(labels)})" if labels else ""
