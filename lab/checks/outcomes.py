"""What a check can come to, and the exceptions that say so.

Four outcomes, never mixed: a check passed, failed (it looked, and the lab is not as it should be), could not
tell (it was not able to look), or was skipped because the inventory says that the thing is not part of this
lab. Only an `AssertionError` is a failure; every other exception means that the check could not tell.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from lab.checks.words import mismatch, shown
from lab.errors import PlumblineError

SILENT = "the API does not answer"
"""What keeps every check from looking that asks it."""


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
        super().__init__(mismatch(subject, expected, seen))


class CouldNotTell(PlumblineError):
    """The check was not able to look: unreachable, refused, no such command, no answer in time.

    `cause` is what keeps from looking, in the same words for every check that meets it; default: the message.
    """

    exit_code = 5

    def __init__(self, message: str, *, next_step: str = "", cause: str = "") -> None:
        super().__init__(message, next_step=next_step)
        self.cause = cause or message


class NotPartOfLab(Exception):
    """The inventory says that what would be checked is not part of this lab: the only green skip.

    `field` is the inventory's field that says so, `reason` a sentence.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason
