"""bench: how long a lab takes and what it weighs, as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from lab.artifacts.provide import provide
from lab.commands.session import ROOT, read, shown
from lab.errors import FailedError, PreflightError
from lab.labs import Lab
from lab.phases.preflight import states
from lab.providers.base import State
from lab.render.roles import all_packages


@shown
def bench(inventory: str, provider: str, source: str) -> None:
    """Build a lab from nothing, build it again, weigh it, destroy it; every figure from whole commands."""
    lab = Lab.open(read(inventory, provider), ROOT)
    there = [name for name, state in states(lab).items() if state is not State.ABSENT]
    if there:
        raise PreflightError(
            f"bench: {lab.inventory.lab}: {', '.join(there)} exist already; a build from nothing is measured",
            next_step="invoke destroy",
        )
    begun = time.monotonic()
    provide(source=source, packages=all_packages(), say=lambda line: print(line, file=sys.stderr))
    figures: dict[str, Any] = {
        "lab": lab.inventory.lab,
        "machines": len(lab.inventory.hosts),
        "cores": os.cpu_count(),
    }
    figures["artifacts_seconds"] = round(time.monotonic() - begun, 2)
    common = ["-i", inventory, *(["-p", provider] if provider else [])]
    figures["validate_seconds"], _ = _invoke("validate", *common)
    figures["render_seconds"], _ = _invoke("render", *common, "-s", source)
    free = _available_mib()
    try:
        wall, cpu = _invoke("build", *common, "-s", source)
        figures["build_seconds"] = wall
        figures["build_harness_cpu_share"] = round(cpu / (wall * (os.cpu_count() or 1)), 3)
        figures["build_phases"] = _phases(lab)
        figures["memory_mib"] = free - _available_mib()
        figures["second_build_seconds"], _ = _invoke("build", *common, "-s", source)
        figures["plan_seconds"], _ = _invoke("plan", *common, "-s", source)
    finally:
        figures["destroy_seconds"], _ = _invoke("destroy", *common)
    print(json.dumps(figures, indent=2))


def _invoke(*arguments: str) -> tuple[float, float]:
    """Wall and CPU seconds of one command, its own children included. Raises `FailedError` if it fails."""
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "invoke", *arguments], cwd=ROOT, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(f"bench: invoke {' '.join(arguments)} ended with exit code {process.returncode}")
    return round(time.monotonic() - begun, 2), usage.ru_utime + usage.ru_stime


def _phases(lab: Lab) -> dict[str, float]:
    """When the last step of each phase had ended, in seconds since the build began."""
    timeline = json.loads((lab.folder / "runs" / "last" / "timeline.json").read_text())
    ends: dict[str, float] = {}
    for event in timeline["events"]:
        ends[event["phase"]] = max(ends.get(event["phase"], 0.0), event["end"] or 0.0)
    return ends


def _available_mib() -> int:
    """Memory that could be had without swapping, page cache counted as free (proc(5))."""
    line = next(
        row for row in Path("/proc/meminfo").read_text().splitlines() if row.startswith("MemAvailable")
    )
    return int(line.split()[1]) // 1024
