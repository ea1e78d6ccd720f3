"""Questions to a person at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from lab.errors import InputError

if TYPE_CHECKING:
    from lab.commands.session import Session


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


def named(lab: str, yes: str, command: str) -> bool:
    """Whether `--yes` was given. Raises `InputError` when it names another lab than the command works on."""
    if yes and yes != lab:
        raise InputError(
            f"--yes: {yes}: must be the name of the lab, which is {lab}; nothing was changed",
            next_step=f"{command} --yes {lab}, if that is the lab you mean",
        )
    return bool(yes)


def confirm(opened: Session, stake: str, command: str) -> None:
    """Go on with a disposable lab, or after its name was typed. Raises `InputError` otherwise."""
    name = opened.inventory.lab
    if opened.inventory.disposable:
        return
    if not somebody_there():
        raise InputError(
            f"{name}: {stake}; the lab is not disposable, and there is no terminal to ask on",
            next_step=f"{command} --yes {name}",
        )
    from rich.markup import escape  # the wizard asks too, and needs no colours

    opened.console.say(escape(f"{name}: {stake}"))
    with opened.console.paused():
        said = answer(f"Type the name of the lab to go on [{name}]: ", stopped="nothing was changed")
    if said != name:
        raise InputError(
            f"{name}: nothing was changed: the answer was {said or 'empty'}, not the name of the lab",
            next_step=f"{command}, or without a question: {command} --yes {name}",
        )
