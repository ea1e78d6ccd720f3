"""What a check can come to, and the exceptions that say so.

Four outcomes, never mixed: a check passed, failed (it looked, and the lab is not as it should be), could not
tell (it was not able to look), or was skipped because the inventory says that the thing is not part of this
lab. Only an `AssertionError` is a failure; every other exception means that the check could not tell.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from lab.errors import PlumblineError


class Outcome(StrEnum):
    """What came of a check."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_TELL = "could-not-tell"
    SKIPPED = "skipped"


class Mismatch(AssertionError):
    """The lab is not as it should be.

    `subject` names what was looked at, `expected` and `seen` are texts, `command` is what a person can type
    to see the same, `host` the machine concerned ("" when it is the whole lab).
    """

    def __init__(self, subject: str, *, expected: Any, seen: Any, command: str = "", host: str = "") -> None:
        self.subject, self.expected, self.seen = subject, shown(expected), shown(seen)
        self.command, self.host = command, host
        super().__init__(f"{subject}: expected {self.expected}; seen: {self.seen}")


class CouldNotTell(PlumblineError):
    """The check was not able to look: unreachable, refused, no such command, no answer in time."""

    exit_code = 5


class NotPartOfLab(Exception):
    """The inventory says that what would be checked is not part of this lab: the only green skip.

    `field` is the inventory's field that says so, `reason` a sentence.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def shown(value: Any, limit: int = 2000) -> str:
    """A value for people: texts as they are, collections in a stable order, long ones cut with a mark."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, set | frozenset):
        text = ", ".join(sorted(map(str, value))) or "nothing"
    elif isinstance(value, dict):
        text = ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "nothing"
    elif isinstance(value, list | tuple):
        text = ", ".join(map(shown, value)) or "nothing"
    else:
        text = str(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
