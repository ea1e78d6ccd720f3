"""bench: how long a lab, an inventory or fetching takes and what it weighs, as JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from lab.artifacts.provide import provide
from lab.artifacts.wanted import wanted
from lab.checks.ingress import has_ingress
from lab.commands.bench_artifacts import bench_artifacts
from lab.commands.bench_inventory import bench_inventory
from lab.commands.measured import measured
from lab.commands.session import open_lab, read, shown
from lab.errors import AcceptanceError, InputError, PreflightError
from lab.labs import Lab
from lab.machines import State
from lab.render.roles import all_packages
from lab.steps.preflight import states

KINDS = ("lab", "inventory", "artifacts")


@shown
def bench(inventory: str, provider: str, source: str, what: str) -> None:
    """Print the figures of a lab, an inventory or fetching. Raises `InputError` for another word."""
    if what not in KINDS:
        raise InputError(f"--what {what}: must be one of {', '.join(KINDS)}")
    found = read(inventory, provider)
    common = ["-i", inventory, *(["-p", provider] if provider else [])]
    figures = {"what": what, "lab": found.lab, "cores": os.cpu_count()}
    if what == "artifacts":
        figures |= bench_artifacts()
    elif what == "inventory":
        figures |= bench_inventory(found, common, source)
    else:
        figures |= _lab(open_lab(found), common, source)
    print(json.dumps(figures, indent=2))


def _lab(lab: Lab, common: list[str], source: str) -> dict[str, Any]:
    """Build a lab from nothing, build it again, weigh it, destroy it; every figure from whole commands."""
    there = [name for name, state in states(lab).items() if state is not State.ABSENT]
    if there:
        raise PreflightError(
            f"bench: {lab.inventory.lab}: {', '.join(there)} exist already; a build from nothing is measured",
            next_step="invoke destroy",
        )
    begun = time.monotonic()
    provide(
        wanted(lab.inventory),
        source=source,
        packages=all_packages(),
        say=lambda line: print(line, file=sys.stderr),
    )
    figures: dict[str, Any] = {"machines": len(lab.inventory.hosts)}
    figures["artifacts_seconds"] = round(time.monotonic() - begun, 2)
    figures["validate_seconds"] = measured("validate", *common).seconds
    figures["render_seconds"] = measured("render", *common, "-s", source).seconds
    free = _available_mib()
    try:
        build = measured("build", *common, "-s", source)
        figures["build_seconds"] = build.seconds
        figures["build_harness_cpu_share"] = round(
            build.cpu_seconds / (build.seconds * (os.cpu_count() or 1)), 3
        )
        figures["build_phases"] = _phases(lab)
        figures["memory_mib"] = free - _available_mib()
        figures["second_build_seconds"] = measured("build", *common, "-s", source).seconds
        figures["plan_seconds"] = measured("plan", *common, "-s", source).seconds
        if has_ingress(lab.inventory):
            figures["load"] = _load(lab, common)
    finally:
        figures["destroy_seconds"] = measured("destroy", *common, "--yes", lab.inventory.lab).seconds
    return figures


def _load(lab: Lab, common: list[str]) -> dict[str, Any]:
    """The default profile with its verdict, and beside it what the generator and wrk can make on one path.

    A run that failed or was void is a figure too: its reasons are.
    """
    seconds = measured("load", *common, "--ceiling", ends=(0, AcceptanceError.exit_code)).seconds
    kept = json.loads((lab.folder / "runs" / "last" / "load.json").read_text())
    wanted = ("requests", "rate", "failure_percent", "p50_ms", "p95_ms", "p99_ms", "gap_seconds")
    return {
        "seconds": seconds,
        "profile_seconds": kept["profile"]["seconds"],
        "outcome": kept["outcome"],
        "reasons": kept["reasons"],
        **{name: kept["result"][name] for name in wanted},
        "ceiling": kept["ceiling"],
    }


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
