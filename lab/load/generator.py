"""Locust as a program: started with everything bounded and recorded, ended with all its processes."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import DeadlineError, FailedError
from lab.inventory.sections import LoadProfile
from lab.load.result import OWN, LoadResult, read
from lab.local import run

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
TARGET = "plumbline_target.py"
"""What users ask and whom they trust, as a module before the locustfile: Locust hands both to its workers."""
STOP_SECONDS = 10
"""Time for requests in flight at the end."""
WORKERS_SECONDS = 30
"""How long the master waits for its workers before it gives up."""
ELSEWHERE_SECONDS = 300
"""The same when people start them on other machines; a worker looks for its master as long
(CONNECT_TIMEOUT and CONNECT_RETRY_COUNT of locust.runners)."""
GRACE_SECONDS = 60
"""For start, end and reports of a run; then its processes are ended."""


@dataclass(frozen=True)
class LoadTarget:
    """Where requests go: an address, the CA that is trusted there, and the app behind each URL."""

    address: str
    ca: Path
    routes: Mapping[str, str]


def generate(
    target: LoadTarget, profile: LoadProfile, folder: Path, *, workers: int = 1, bind: str = ""
) -> LoadResult:
    """Run a profile against a target from `workers` processes and give back what came of it.

    They are started here, or awaited from other machines at this one's address `bind` (`worker_command`).
    `folder` must be new, so that no earlier run is ever judged. Raises `FailedError` when it is not, or when
    Locust cannot be started; a run that broke is a result with an exit code.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise FailedError(f"{folder}: holds an earlier run; a new one needs a new folder") from error
    wanted = {
        "address": target.address,
        "ca": target.ca.read_text(),
        "pause_seconds": profile.pause_seconds,
        "routes": [{"url": url, "app": app} for url, app in target.routes.items()],
        "own": str(folder / OWN),
    }
    (folder / TARGET).write_text(f"SPEC = {wanted!r}\n")
    limit = run_seconds(profile) + GRACE_SECONDS + (ELSEWHERE_SECONDS if bind else WORKERS_SECONDS)
    try:
        done = run(command(profile, folder, workers, bind), timeout=limit, check=False)
    except DeadlineError as error:
        return read(folder, -9, str(error))
    (folder / "locust.log").write_text(done.stdout + done.stderr)
    return read(folder, done.code, done.stderr.strip()[-400:])


def run_seconds(profile: LoadProfile) -> int:
    """How long Locust runs: until all users have begun, and then the profile's time."""
    return math.ceil(profile.users / profile.spawn_rate) + profile.seconds


def worker_command(bind: str) -> str:
    """What starts workers, one a core, on a machine that has Locust and nothing of ours."""
    return f"locust -f - --worker --master-host {bind} --processes -1"


def command(profile: LoadProfile, folder: Path, workers: int, bind: str = "") -> list[str]:
    """Locust's command line. Its exit code says whether it ran; the verdict is ours (`judge.py`)."""
    found = [
        *(sys.executable, "-m", "locust", "--locustfile", f"{folder / TARGET},{LOCUSTFILE}"),
        *("--headless", "--only-summary"),
        *("--users", str(profile.users), "--spawn-rate", f"{profile.spawn_rate:g}"),
        *("--run-time", f"{run_seconds(profile)}s", "--stop-timeout", f"{STOP_SECONDS}", "--reset-stats"),
        *("--csv", str(folder / "locust"), "--csv-full-history", "--html", str(folder / "locust.html")),
        *("--json-file", str(folder / "locust"), "--exit-code-on-error", "0"),
    ]
    if bind:
        found += ["--master", "--expect-workers", f"{workers}", "--master-bind-host", bind]
        found += ["--expect-workers-max-wait", f"{ELSEWHERE_SECONDS}"]
    elif workers > 1:
        found += ["--processes", f"{workers}", "--expect-workers-max-wait", f"{WORKERS_SECONDS}"]
        found += ["--master-bind-host", "127.0.0.1"]
    return found
