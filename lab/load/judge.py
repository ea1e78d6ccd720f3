"""The verdict on a load run, by rule: passed, failed, or void because the generator was the bottleneck."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lab.inventory.sections import LoadProfile
from lab.load.result import LoadResult

BUSY_PERCENT = 90.0
"""Locust's own limit: above it, times and rates are those of the generator (its CPU_WARNING_THRESHOLD)."""
LEAST_SHARE = 0.8
"""A run that ended earlier lost its generators: Locust gives a worker up that is silent for 3 s."""
LATE_MS = 100.0
"""A generator that comes this much late to its work in one of twenty looks adds it to every time it takes."""


class LoadOutcome(StrEnum):
    """What a run says."""

    PASSED = "passed"
    FAILED = "failed"
    VOID = "void"


@dataclass(frozen=True)
class Judgement:
    """The outcome, and every reason for another one than passed."""

    outcome: LoadOutcome
    reasons: tuple[str, ...] = ()


def judge(result: LoadResult, profile: LoadProfile, *, workers: int = 1) -> Judgement:
    """Judge a run: whether it took place, whether the generator could, and whether the limits hold."""
    if broken := _broken(result, workers):
        return Judgement(LoadOutcome.FAILED, (broken,))
    if void := generator_faults(result, profile):
        return Judgement(LoadOutcome.VOID, tuple(void))
    exceeded = _exceeded(result, profile)
    return Judgement(LoadOutcome.FAILED if exceeded else LoadOutcome.PASSED, tuple(exceeded))


def _broken(result: LoadResult, workers: int) -> str:
    if result.code < 0:
        return f"Locust was ended by signal {-result.code}: {result.said}"
    if result.code:
        return f"Locust ended with exit code {result.code}: {result.said}"
    if len(result.generators) != workers:
        return f"{workers} generating processes were wanted, {len(result.generators)} reported"
    return "" if result.requests else "no request was made"


def generator_faults(result: LoadResult, profile: LoadProfile) -> list[str]:
    """Why the figures would be those of the generator."""
    if result.asked_seconds < LEAST_SHARE * profile.seconds:
        return [f"users asked for {result.asked_seconds:g} s only, of {profile.seconds} s"]
    busy = [item.cpu_percent for item in result.generators if item.cpu_percent > BUSY_PERCENT]
    late = [item.lag_ms for item in result.generators if item.lag_ms > LATE_MS]
    found = [f"the generator used {value:g} % of a core, limit {BUSY_PERCENT:g} %" for value in busy]
    return found + [f"the generator came {value:g} ms late, limit {LATE_MS:g} ms" for value in late]


def _exceeded(result: LoadResult, profile: LoadProfile) -> list[str]:
    measured = (
        ("failed requests", result.failure_percent, profile.failure_percent, "%"),
        ("p95", result.p95_ms, profile.p95_ms, "ms"),
        ("p99", result.p99_ms, profile.p99_ms, "ms"),
    )
    return [
        f"{name}: {value:g} {unit}, limit {limit:g} {unit}"
        for name, value, limit, unit in measured
        if value > limit
    ]
