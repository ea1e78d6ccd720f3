"""What a load run left in its folder, as numbers."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

CSV = "locust"
"""Prefix of Locust's own CSV files."""
OWN = "own.json"


@dataclass(frozen=True)
class Generator:
    """One process that made requests: CPU in per cent of a core, and how late it came to its work."""

    cpu_percent: float
    lag_ms: float


@dataclass(frozen=True)
class Result:
    """One run. Times as Locust rounds them; `gap_seconds` is the longest time without an answer."""

    code: int
    """Locust's exit code; negative: the signal that ended it."""
    said: str = ""
    """The last of what Locust wrote."""
    requests: int = 0
    failures: int = 0
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


def read(folder: Path, code: int, said: str = "") -> Result:
    """The result of the run in `folder`; what a broken run did not write is missing, not an error."""
    total = next((row for row in _rows(folder, "stats") if row["Name"] == "Aggregated"), None)
    own = folder / OWN
    reports: list[dict[str, Any]] = json.loads(own.read_text()) if own.exists() else []
    if total is None:
        return Result(code, said)
    served: Counter[str] = Counter()
    for report in reports:
        served.update(report["served"])
    return Result(
        code=code,
        said=said,
        requests=int(total["Request Count"]),
        failures=int(total["Failure Count"]),
        rate=round(float(total["Requests/s"]), 2),
        p50_ms=_number(total["50%"]),
        p95_ms=_number(total["95%"]),
        p99_ms=_number(total["99%"]),
        max_ms=_number(total["Max Response Time"]),
        gap_seconds=round(max((report["gap_seconds"] for report in reports), default=0.0), 3),
        served=dict(sorted(served.items())),
        generators=tuple(
            Generator(round(item["cpu_percent"], 1), round(item["lag_ms"], 1)) for item in reports
        ),
        problems=tuple(
            f"{row['Occurrences']} x {row['Name']}: {row['Error']}" for row in _rows(folder, "failures")
        ),
    )


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / f"{CSV}_{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _number(text: str) -> float:
    # without a request Locust writes N/A
    return 0.0 if text == "N/A" else float(text)
