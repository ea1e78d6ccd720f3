"""Prometheus asked which alerts there were, through the API server: one question for a time, one answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any
from urllib.parse import urlencode

from pydantic import BaseModel, Field, ValidationError

from addons.prometheus.section_config import NAMESPACE
from lab.checks.alerts import AlertSpan
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell

ALWAYS = "Watchdog"
"""It fires while all is well."""
QUESTION = f'ALERTS{{alertname!="{ALWAYS}"}}'
STEP = 5.0
"""Seconds between two looks: rules are judged three times as seldom."""
MOST = 10_000
"""Looks at one series in an answer; Prometheus gives no more than 11,000."""
PATH = f"/api/v1/namespaces/{NAMESPACE}/services/prometheus:http/proxy/api/v1/query_range"
NO_OBJECT = frozenset({"__name__", "alertname", "alertstate", "severity", "job", "cluster"})
"""Labels that do not tell of whom an alert is."""


class AlertSeries(BaseModel):
    """One alert in one state: its labels, and the seconds since 1970 at which it was so."""

    metric: Mapping[str, str]
    values: Annotated[tuple[tuple[float, str], ...], Field(min_length=1)]


class _Data(BaseModel):
    result: tuple[AlertSeries, ...]


class _Answer(BaseModel):
    data: _Data


@dataclass(frozen=True)
class Alerts:
    """The alerts of one lab."""

    driver: Driver

    def between(self, begin: float, end: float) -> tuple[AlertSpan, ...]:
        """Alerts from `begin` to `end`, in seconds since 1970, by their beginning.

        Raises `CouldNotTell` when nobody answers, or with what is no answer; `Refused` for a refusal.
        """
        step = max(STEP, (end - begin) / MOST)
        asked = urlencode(
            {"query": QUESTION, "start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{step:.3f}"}
        )
        return spans(self.driver.cluster.request("GET", f"{PATH}?{asked}"), step)


def spans(said: Mapping[str, Any], step: float) -> tuple[AlertSpan, ...]:
    """Prometheus' answer as spans. Raises `CouldNotTell` for one that cannot be read."""
    try:
        found = _Answer.model_validate(said).data.result
        made = [span for series in found for span in _spans(series, step)]
    except (ValidationError, KeyError) as error:
        raise CouldNotTell(
            f"Prometheus answers with what is no list of alerts: {str(said)[:120]}",
            next_step="invoke open prometheus",
        ) from error
    return tuple(sorted(made, key=lambda span: (span.t, span.name, span.of)))


def _spans(series: AlertSeries, step: float) -> Iterator[AlertSpan]:
    """A look that is missing ends a span."""
    times = [time for time, _ in series.values]
    ends = [index for index, (one, two) in enumerate(pairwise(times)) if two - one > 1.5 * step]
    firsts, lasts = [0, *(index + 1 for index in ends)], [*ends, len(times) - 1]
    labels = series.metric
    of = ", ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name not in NO_OBJECT)
    for first, last in zip(firsts, lasts, strict=True):
        yield AlertSpan.model_validate(
            {
                "name": labels["alertname"],
                "of": of,
                "severity": labels.get("severity", ""),
                "state": labels["alertstate"],
                "t": times[first],
                "until": times[last],
            }
        )


client = Alerts
"""What `provides` promises."""
