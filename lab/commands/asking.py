"""Questions to a person at the terminal."""

from __future__ import annotations

import sys

from lab.errors import InputError


def somebody_there() -> bool:
    """Whether there is a terminal to answer from."""
    return sys.stdin.isatty()


def answer(question: str, *, stopped: str) -> str:
    """One line from the terminal, without blanks around it.

    Ctrl-C and the end of the input (Ctrl-D) end the command as Ctrl-C does everywhere; `stopped` is told
    then.
    """
    try:
        return input(question).strip()
    except (EOFError, KeyboardInterrupt):
        raise KeyboardInterrupt(f"\nstopped: {stopped}") from None


def named(lab: str, yes: str) -> bool:
    """Whether `--yes` was given. Raises `InputError` when it names another lab than the command works on."""
    if yes and yes != lab:
        raise InputError(
            f"--yes: {yes}: must be the name of the lab, which is {lab}; nothing was removed",
            next_step=f"invoke destroy --yes {lab}, if that is the lab you mean",
        )
    return bool(yes)
