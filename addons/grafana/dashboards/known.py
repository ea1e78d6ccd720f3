"""The metrics that dashboards ask for, each with the job that has it: `metrics.yaml`, as records.

A lab is compared with this list, so a metric that upstream renames is told by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, RootModel

from lab.own_yaml import load

FILE = Path(__file__).parent / "metrics.yaml"
OF_TARGETS = frozenset({"job", "instance"})
"""Labels that every scraped series has."""
PARTS = ("_bucket", "_sum", "_count")
"""Endings of the series of a histogram."""


class KnownData(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Metric(KnownData):
    """One metric: its type, the labels that panels use, and why it may not be there on a healthy platform."""

    type: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    absent: str = ""


class KnownJob(KnownData):
    """A job of Prometheus: the add-on that makes it a part of a lab, and the labels of its targets."""

    addon: str = ""
    """Its name; empty: every lab has it that has Prometheus."""
    targets: tuple[str, ...] = ()
    metrics: Mapping[str, Metric]


class Jobs(RootModel[dict[str, KnownJob]]):
    """All jobs by name; `*` holds what Prometheus itself knows of every target, and what rules record."""

    model_config = ConfigDict(frozen=True)


@cache
def jobs() -> Mapping[str, KnownJob]:
    """The whole list. Raises `InputError` with every problem of the file."""
    return load(FILE, Jobs).root


def base_name(series: str) -> str:
    """The name of the metric that a series is of: that of the histogram for one of its parts."""
    for part in PARTS:
        name = series.removesuffix(part)
        if name != series and any(
            name in job.metrics and job.metrics[name].type == "histogram" for job in jobs().values()
        ):
            return name
    return series
