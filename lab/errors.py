"""The errors a person may see: one root, one child for each exit code.

A message names the field or host, the value, the rule and the next command; `lab/commands/session.py` prints
it as one block and ends the command with `exit_code`. Anything else that escapes is a defect of ours and
shows its traceback.
"""

from __future__ import annotations


class PlumblineError(Exception):
    """The root; never raised itself.

    `next_step` is the command or the edit that continues from here, shown on a line of its own.
    """

    exit_code = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  next: {self.next_step}" if self.next_step else self.message


class FailedError(PlumblineError):
    """A step was tried and did not succeed."""

    exit_code = 1


class CommandError(FailedError):
    """A program ended with another exit code than 0.

    Carries the host ("" for this machine), the command, its exit code and the end of its output.
    """

    def __init__(self, host: str, command: str, code: int, output: str, *, next_step: str = "") -> None:
        tail = "\n".join(f"    {line}" for line in output.strip().splitlines()[-15:])
        where = f"{host}: " if host else ""
        super().__init__(f"{where}`{command}` ended with exit code {code}\n{tail}", next_step=next_step)
        self.host, self.command, self.code, self.output = host, command, code, output


class InputError(PlumblineError):
    """What the user wrote cannot be; nothing has been changed."""

    exit_code = 2


class PreflightError(PlumblineError):
    """This machine, the provider or a host cannot take the build; nothing has been changed."""

    exit_code = 3


class DeadlineError(PlumblineError):
    """A wait ended without what it waited for. Carries subject, deadline in seconds and last state."""

    exit_code = 4

    def __init__(self, subject: str, seconds: float, last: str, *, next_step: str = "") -> None:
        super().__init__(f"{subject}: not within {seconds:g} s; last seen: {last}", next_step=next_step)
        self.subject, self.seconds, self.last = subject, seconds, last


class AcceptanceError(PlumblineError):
    """The lab is not what the inventory says."""

    exit_code = 5
