"""What a load run left in its folder, as numbers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

OWN = "own.json"


@dataclass(frozen=True)
class Generator:
    """One process that made requests: CPU in per cent of a core, and how late it came to its work."""

    cpu_percent: float
    lag_ms: float


@dataclass(frozen=True)
class LoadResult:
    """One run. Times as Locust rounds them; `gap_seconds` is the longest time without an answer."""

    code: int
    """Locust's exit code; negative: the signal that ended it."""
    said: str = ""
    """The last of what Locust wrote."""
    requests: int = 0
    failures: int = 0
    asked_seconds: float = 0.0
    """From the moment at which all users asked to the last request."""
    rate: float = 0.0
    p50_ms: float = 0.0
    p95_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    gap_seconds: float = 0.0
    served: dict[str, int] = field(default_factory=dict)
    """Requests by pod, those of the warm-up included."""
    generators: tuple[Generator, ...] = ()
    problems: tuple[str, ...] = ()
    """Each kind of failed request with its number."""

    @property
    def failure_percent(self) -> float:
        """Share of requests that failed; all of none."""
        return 100 * self.failures / self.requests if self.requests else 100.0

    def as_json(self) -> dict[str, Any]:
        """For files and programs."""
        return asdict(self) | {"failure_percent": round(self.failure_percent, 3)}


def read(folder: Path, code: int, said: str = "") -> LoadResult:
    """The result of the run in `folder`; what a broken run did not write is missing, not an error."""
    own = folder / OWN
    if not own.exists():
        return LoadResult(code, said)
    found: dict[str, Any] = json.loads(own.read_text())
    served: Counter[str] = Counter()
    for report in found["processes"]:
        served.update(report["served"])
    return LoadResult(
        code=code,
        said=said,
        requests=found["requests"],
        failures=found["failures"],
        asked_seconds=round(found["asked_seconds"], 1),
        rate=round(found["rate"], 2),
        p50_ms=found["p50_ms"],
        p95_ms=found["p95_ms"],
        p99_ms=found["p99_ms"],
        max_ms=round(found["max_ms"], 1),
        gap_seconds=round(max((report["gap_seconds"] for report in found["processes"]), default=0.0), 3),
        served=dict(sorted(served.items())),
        generators=tuple(
            Generator(round(item["cpu_percent"], 1), round(item["lag_ms"], 1)) for item in found["processes"]
        ),
        problems=tuple(found["problems"]),
    )
