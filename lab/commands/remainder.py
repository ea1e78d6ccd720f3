"""What stands behind `--`: words of another program that a task hands on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.parser.context import to_flag


def handed_on(typed: Sequence[str]) -> tuple[str, ...]:
    """The words behind the first `--` as the shell gave them; Invoke would hand them on joined by spaces."""
    return tuple(typed[typed.index("--") + 1 :]) if "--" in typed else ()


def check(task: str, options: Sequence[Argument], typed: Sequence[str]) -> None:
    """Raise `Exit` with what to type where words to hand on stand without `--`.

    `options` are the task's own as Invoke knows them, `typed` everything behind `invoke`. Invoke would take
    the words for tasks and for options of the menu.
    """
    at = next((at for at, word in enumerate(typed) if not word.startswith("-")), len(typed))
    if "--" in typed or list(typed[at : at + 1]) != [task]:
        return
    flags = {to_flag(name): option for option in options for name in option.names}
    own, at = sum(option.positional for option in options), at + 1
    while at < len(typed):
        flag, joined, _ = typed[at].partition("=")
        if flag in flags:
            at += 2 if flags[flag].takes_value and not joined else 1
        elif own and not flag.startswith("-"):
            own, at = own - 1, at + 1
        elif flag in ("-h", "--help"):
            return
        else:
            words = shlex.join(typed[at:])
            said = f"error: {task}: {words}: what is handed on stands behind --"
            raise Exit(f"{said}\n  next: invoke {shlex.join(typed[:at])} -- {words}", code=2)
