"""Locust as a program: started with everything bounded and recorded, ended with all its processes."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import DeadlineError, FailedError
from lab.inventory.sections import LoadProfile
from lab.load.result import OWN, Result, read
from lab.local import run

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
STOP_SECONDS = 10
"""Time for requests in flight at the end."""
WORKERS_SECONDS = 30
"""How long the master waits for its workers before it gives up."""
GRACE_SECONDS = 60
"""For start, end and reports of a run; then its processes are ended."""


@dataclass(frozen=True)
class Target:
    """Where requests go: an address, the CA that is trusted there, and the app behind each URL."""

    address: str
    ca: Path
    routes: Mapping[str, str]


def generate(target: Target, profile: LoadProfile, folder: Path, *, workers: int = 1) -> Result:
    """Run a profile against a target from `workers` processes and give back what came of it.

    `folder` must be new, so that no earlier run is ever judged. Raises `FailedError` when it is not, or when
    Locust cannot be started; a run that broke is a result with an exit code.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise FailedError(f"{folder}: holds an earlier run; a new one needs a new folder") from error
    spec = folder / "spec.json"
    wanted = {
        "address": target.address,
        "ca": str(target.ca),
        "pause_seconds": profile.pause_seconds,
        "routes": [{"url": url, "app": app} for url, app in target.routes.items()],
        "own": str(folder / OWN),
    }
    spec.write_text(json.dumps(wanted, indent=1))
    argv = command(profile, folder, workers)
    limit = run_seconds(profile) + GRACE_SECONDS + (WORKERS_SECONDS if workers > 1 else 0)
    environment = {**os.environ, "PLUMBLINE_LOAD": str(spec)}
    try:
        done = run(argv, timeout=limit, check=False, env=environment)
    except DeadlineError as error:
        return read(folder, -9, str(error))
    (folder / "locust.log").write_text(done.stdout + done.stderr)
    return read(folder, done.code, done.stderr.strip()[-400:])


def run_seconds(profile: LoadProfile) -> int:
    """How long Locust runs: until all users have begun, and then the profile's time."""
    return math.ceil(profile.users / profile.spawn_rate) + profile.seconds


def command(profile: LoadProfile, folder: Path, workers: int) -> list[str]:
    """Locust's command line. Its exit code says whether it ran; the verdict is ours (`judge.py`)."""
    found = [
        *(sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless", "--only-summary"),
        *("--users", str(profile.users), "--spawn-rate", f"{profile.spawn_rate:g}"),
        *("--run-time", f"{run_seconds(profile)}s", "--stop-timeout", f"{STOP_SECONDS}", "--reset-stats"),
        *("--csv", str(folder / "locust"), "--csv-full-history", "--html", str(folder / "locust.html")),
        *("--json-file", str(folder / "locust"), "--exit-code-on-error", "0"),
    ]
    if workers > 1:
        found += ["--processes", f"{workers}", "--expect-workers-max-wait", f"{WORKERS_SECONDS}"]
        found += ["--master-bind-host", "127.0.0.1"]
    return found
