"""What was typed, read before Invoke reads it: bad input ends with 2 and the next command, as everywhere.

Invoke itself ends with 1 and a line of its own. `tasks.py` calls `check` when the menu is complete.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Sequence
from itertools import pairwise

from invoke.collection import Collection
from invoke.exceptions import Exit, ParseError
from invoke.parser import Parser
from invoke.parser.context import ParserContext

from lab.commands import remainder

_UNKNOWN = re.compile(r"No idea what (?P<word>.+) is!", re.DOTALL)
_WITHOUT_VALUE = re.compile(r"Flag <Argument: (?P<option>[^ >]+)")


def check(menu: Collection) -> None:
    """Raise `Exit` with 2 for a command line that Invoke would not take; for none of Invoke, do nothing."""
    program = sys.modules.get("invoke.main")
    if program:
        read(menu, program.program.initial_context, sys.argv[1:])


def read(menu: Collection, options: ParserContext, typed: Sequence[str]) -> None:
    """Parse as Invoke will; `options` are its own, which may stand anywhere. Raises `Exit`."""
    words = list(typed[: typed.index("--")]) if "--" in typed else list(typed)
    try:
        core = Parser(initial=options, ignore_unknown=True).parse_argv(words)
        if core[0].args.complete.value:
            return  # whoever is in the middle of typing is told nothing
        wanted, group = core[0].args.help.value, core[0].args.list.value
        if isinstance(group, str) and group not in menu.collections:
            raise _refused(f"{group}: no such group of commands", "invoke --list")
        if isinstance(wanted, str) and wanted not in _names(menu):
            raise _refused(f"{wanted}: no such command{_perhaps(wanted, _names(menu))}", "invoke --list")
        contexts = _contexts(menu, words, typed)
        Parser(initial=options, contexts=contexts).parse_argv(core.unparsed)
    except ParseError as error:
        raise _told(menu, error, words) from None
    except ValueError:  # a number of Invoke's own options
        raise _refused(f"{' '.join(words)}: an option takes a whole number", "invoke --help") from None


def _names(menu: Collection) -> list[str]:
    return [name for task, others in menu.task_names.items() for name in (task, *others)]


def _contexts(menu: Collection, words: Sequence[str], typed: Sequence[str]) -> list[ParserContext]:
    """The options of those commands that are among the words: to make all takes ten times as long."""
    made = []
    for name, others in menu.task_names.items():
        if {name, *others} & set(words):
            task = menu[name]
            helps = dict(task.help)
            arguments = task.get_arguments()
            task.help = helps  # which takes the text of each option out, and Invoke will ask again
            if getattr(task, "remainder", False):
                remainder.check(name, arguments, typed)
            made.append(ParserContext(name=name, aliases=tuple(others), args=arguments))
    return made


def _told(menu: Collection, error: ParseError, words: Sequence[str]) -> Exit:
    """What Invoke says, with the command, the rule and where to go on."""
    context = error.context
    command = context.name if context and context.name else ""
    helped = f"invoke --help {command}" if command else "invoke --list"
    whose = f"{command}: " if command else ""
    if found := _WITHOUT_VALUE.match(str(error)):
        return _refused(f"{whose}{_flag(found['option'])}: needs a value", helped)
    if context and context.missing_positional_args and not _UNKNOWN.match(str(error)):
        names = ", ".join(_flag(argument.name or "") for argument in context.missing_positional_args)
        return _refused(f"{whose}{names}: must be given", helped)
    found = _UNKNOWN.match(str(error))
    if not found:
        return _refused(f"{whose}{error}", helped)
    word = str(ast.literal_eval(found["word"]))
    if word.startswith("-"):
        known = list(context.flags) if context else []
        return _refused(f"{whose}{word}: no such option{_perhaps(word, known)}", helped)
    if not command:
        return _refused(f"{word or repr(word)}: no such command{_perhaps(word, _names(menu))}", helped)
    before = next((one for one, after in pairwise(words) if after == word), "")
    if context and before in context.flags and context.flags[before].takes_value:
        return _refused(f"{whose}{before} {word}: the option was given before, and takes one value", helped)
    if joined := [one for one in words if one.startswith("--") and one.endswith(f"={word}")]:
        return _refused(f"{whose}{joined[0]}: the option takes no value", helped)
    return _refused(f"{whose}{word or repr(word)}: neither a value of it nor a command", helped)


def _refused(said: str, next_step: str) -> Exit:
    return Exit(f"error: {said}\n  next: {next_step}", code=2)


def _flag(name: str) -> str:
    return f"--{name.strip('_').replace('_', '-')}"


def _perhaps(word: str, known: Sequence[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""
