"""What a check came to, from what it raised, in words for people."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.driver import Driver
from lab.checks.events import newest_events
from lab.checks.outcomes import CouldNotTell, Mismatch, NotPartOfLab, Outcome
from lab.checks.verbs import Refused
from lab.checks.words import LINES, WIDTH, cut, fitted, named_objects
from lab.errors import PlumblineError


def with_events(driver: Driver, message: str, seen: str, host: str) -> str:
    """A message with the newest events of the objects and of the node that it is about."""
    names = [
        *named_objects(f"{message} {seen}"),
        *([("default", host)] if host in driver.inventory.nodes else []),
    ]
    try:
        events = newest_events(driver.cluster, names) if names else []
    except CouldNotTell:
        events = []
    return "\n".join([fitted(message, LINES - len(events)), *events])


def judged(error: BaseException) -> tuple[Outcome, dict[str, Any]]:
    """Outcome and details of what a check raised.

    Only an assertion is a failure. A bare `pytest.skip` says nothing about the inventory, so it is not green.
    """
    if isinstance(error, Mismatch):
        return Outcome.FAILED, {
            "message": str(error),
            "expected": error.expected,
            "seen": error.seen,
            "command": error.command,
            "host": error.host,
        }
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return Outcome.FAILED, {"message": f"an assertion of the check itself: {_first_line(error)}"}
    if isinstance(error, NotPartOfLab):
        return Outcome.SKIPPED, {"message": str(error)}
    if isinstance(error, CouldNotTell):
        details = {"message": fitted(error.message), "command": error.next_step, "cause": error.cause}
        return Outcome.COULD_NOT_TELL, details
    if isinstance(error, pytest.skip.Exception):
        return Outcome.COULD_NOT_TELL, {"message": f"skipped without a field of the inventory: {error}"}
    if isinstance(error, Refused | PlumblineError):
        return Outcome.COULD_NOT_TELL, {"message": fitted(str(error))}
    said = f"{type(error).__name__}: {_first_line(error)}"
    return Outcome.COULD_NOT_TELL, {"message": f"the check broke, which is a defect of Plumbline: {said}"}


def _first_line(error: BaseException) -> str:
    return cut((str(error).strip() or "no message").splitlines()[0], WIDTH)
