"""What the report adds to the checks: versions and the newest build's timeline."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

from lab.checks.record import Timeline
from lab.inventory.addon_sections import versions as named_versions
from lab.inventory.models import Inventory


def versions(inventory: Inventory) -> dict[str, str]:
    """What the lab should run, and what looked at it."""
    return {
        **named_versions(inventory),
        "Python": platform.python_version(),
        "pytest": version("pytest"),
        "kernel of this machine": platform.release(),
    }


def newest_build(runs: Path) -> Timeline | None:
    """The newest timeline of a build that did something; None when this checkout has built nothing."""
    for path in sorted(runs.glob("*Z/timeline.json"), reverse=True):
        found = timeline(path)
        if found and found.command.removeprefix("invoke ").startswith("build"):
            return found
    return None


def timeline(path: Path) -> Timeline | None:
    """The timeline in a file; None if it holds no step, or cannot be read.

    It is that of a run which was killed while it wrote, then, or of another version.
    """
    try:
        found = Timeline.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    return found if found.events else None
