"""Prometheus' own history as judgements: what fired, what was thrown away, where series have a gap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from addons.prometheus.asking import named
from addons.prometheus.section_rule_files import SHORT
from lab.checks.metrics import value

QUIET_SECONDS = 600
"""How far back is looked for alerts."""
AFTERMATH_SECONDS = 180
"""After damage is undone alerts about it still fire: until all targets are looked at again, and judged."""
LEAST_SECONDS = 30
FIRED = f'ALERTS{{alertstate="firing",severity!="none",{SHORT}=""}}'
"""What people would be told: neither alerts for machines, as Watchdog, nor the suite's copy."""
REFUSED_WINDOW = "2m"
REFUSED = (
    "prometheus_target_scrapes_exceeded_sample_limit_total",
    "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
    "prometheus_target_scrapes_sample_duplicate_timestamp_total",
    "prometheus_target_scrapes_sample_out_of_order_total",
    "prometheus_target_scrapes_sample_out_of_bounds_total",
)
"""Counters of samples that Prometheus was given and did not take."""


def quiet_seconds(now: float, undone: float | None) -> float:
    """For how long a lab that nobody disturbs has been one, at most `QUIET_SECONDS`; `undone` is when the
    last damage on purpose was. At least what holds the newest judgement."""
    since = now - undone - AFTERMATH_SECONDS if undone is not None else QUIET_SECONDS
    return max(LEAST_SECONDS, min(QUIET_SECONDS, since))


def fired(seconds: float) -> str:
    """The expression of alerts that fired in the newest time, with how often each was seen to."""
    return f"count_over_time({FIRED}[{seconds:.0f}s])"


def before() -> str:
    """The expression of the counters of samples that were not taken, as they were a while ago."""
    return f'max by (__name__) ({{__name__=~"{"|".join(REFUSED)}",job="prometheus"}} offset {REFUSED_WINDOW})'


def refused(page: str, earlier: Mapping[str, float]) -> dict[str, float]:
    """How many samples were not taken since `earlier`, by the counter; `page` is what is told now."""
    found = {}
    for name in REFUSED:
        now, then = value(page, name) or 0.0, earlier.get(name, 0.0)
        # one that began anew counts from nothing
        if number := now - then if now >= then else now:
            found[name] = number
    return found


def gaps(data: Mapping[str, Any], killed: float) -> dict[str, float]:
    """By series of an answer with ranges: the seconds without a sample around a moment; infinite without
    one on both sides."""
    return {
        named(item["metric"]): gap([float(at) for at, _ in item["values"]], killed) for item in data["result"]
    }


def gap(times: Sequence[float], killed: float) -> float:
    """The seconds from the last sample before a moment to the first one after it."""
    before = [at for at in times if at <= killed]
    after = [at for at in times if at > killed]
    return min(after) - max(before) if before and after else float("inf")
