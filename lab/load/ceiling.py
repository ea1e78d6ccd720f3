"""How much the generator can make: one process of Locust at full speed, and wrk on the same URL beside it.

Both share their cores with the lab when it runs on this machine, so requests are given for each second of the
generator's own CPU as well: that figure is its own.
"""

from __future__ import annotations

import re
import resource
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lab.inventory.sections import LoadProfile
from lab.load.generator import LoadTarget, generate
from lab.local import run

SECONDS = 10
CONNECTIONS = 16
FULL_SPEED = LoadProfile(users=CONNECTIONS, spawn_rate=100, seconds=SECONDS, pause_seconds=0.0001)


@dataclass(frozen=True)
class Ceiling:
    """Requests a second of one process, the share of a core it used for them, and how many failed.

    `missing` says why nothing was measured and what to do about it, "" when it was.
    """

    tool: str
    rate: float = 0.0
    cpu_percent: float = 0.0
    failures: int = 0
    missing: str = ""

    @property
    def rate_per_core(self) -> float:
        """Requests for each second of its own CPU."""
        return self.rate / (self.cpu_percent / 100) if self.cpu_percent else 0.0

    def as_json(self) -> dict[str, Any]:
        """For files and programs."""
        return asdict(self) | {"rate_per_core": round(self.rate_per_core)}


def ceilings(target: LoadTarget, folder: Path) -> tuple[Ceiling, Ceiling]:
    """Locust's and wrk's, one after the other on the same path."""
    url, app = next(iter(target.routes.items()))
    return _locust(LoadTarget(target.address, target.ca, {url: app}), folder), _wrk(target.address, url)


def _locust(target: LoadTarget, folder: Path) -> Ceiling:
    result = generate(target, FULL_SPEED, folder)
    cpu = sum(item.cpu_percent for item in result.generators)
    return Ceiling("locust", result.rate, cpu, result.failures)


def _wrk(address: str, url: str) -> Ceiling:
    if not shutil.which("wrk"):
        return Ceiling("wrk", missing="not installed on this machine: apt-get install wrk")
    wanted = urlsplit(url)
    place = address if wanted.port is None else f"{address}:{wanted.port}"
    before = _children_cpu()
    done = run(
        [
            *("wrk", "--threads", "1", "--connections", f"{CONNECTIONS}", "--duration", f"{SECONDS}s"),
            *("--header", f"Host: {wanted.netloc}", f"https://{place}{wanted.path}"),
        ],
        timeout=SECONDS + 30,
    )
    cpu = 100 * (_children_cpu() - before) / SECONDS
    rate = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    # told only when something failed; what took longer than wrk's 2 s is slow and not failed
    failed = sum(map(int, re.findall(r"(?:responses:|connect|read|write) (\d+)", done.stdout)))
    return Ceiling("wrk", float(rate[1]) if rate else 0.0, round(cpu, 1), failed)


def _children_cpu() -> float:
    """CPU seconds of this process' children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
