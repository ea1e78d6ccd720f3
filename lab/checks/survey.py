"""What is on the hosts beside what was declared: asked once for each host and run, in one round trip."""

from __future__ import annotations

from typing import Any

from lab.checks import access, folders, journal, left_secrets, modes, next_boot
from lab.checks.outcomes import CouldNotTell
from lab.hosts import programs
from lab.hosts.survey import HostSurvey
from lab.inventory.models import Inventory
from lab.render.bundle import Bundle

PROGRAM = programs.command(programs.SURVEY, programs.ANSWER, programs.PLACES)


class Survey(HostSurvey):
    """What one host said. A section that could not be read raises `CouldNotTell`."""

    unread = CouldNotTell


def request_for(inventory: Inventory, bundle: Bundle) -> dict[str, Any]:
    """What to ask a host, from what it must be."""
    return {
        "sections": list(HostSurvey.names),
        "states": modes.asked(bundle),
        "entries": sorted({*folders.asked(bundle), *journal.asked(), *next_boot.asked()}),
        "units": [*(unit.name for unit in bundle.units), *next_boot.LOADERS],
        "sshd": access.asked(inventory),
        "secrets": list(left_secrets.PLACES),
    }
