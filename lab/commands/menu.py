"""From one line of `tasks.py` to a task of the menu."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, Signature
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from lab import operations
from lab.commands import run
from lab.commands.hints import called
from lab.commands.options import DRY_RUN, LAB, NUMBERS, REQUIRED, VERBOSE, Option
from lab.commands.remainder import handed_on
from lab.errors import PlumblineError
from lab.parts import part

_PROVIDERS = Path(__file__).parents[1] / "providers"


class _Task(Task[Any]):
    """A task whose numbers reach it as the text that was typed: Invoke ends by a traceback of its own where a
    text is no number."""

    remainder = False
    """Whether it hands on the words behind `--`."""

    def arg_opts(self, name: str, default: Any, taken_names: set[str]) -> dict[str, Any]:
        """How Invoke reads an option."""
        read = super().arg_opts(name, default, taken_names)
        return read | {"kind": str} if read.get("kind") in NUMBERS else read


def _no_options(task: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a value that begins with a dash: Invoke takes `TASK --help` for a value of TASK's."""
    for name, value in arguments.items():
        if isinstance(value, str) and value.startswith("-"):
            said = f"error: {name}: {value}: begins with a dash, which no {name} does"
            raise Exit(f"{said}\n  next: invoke --help {task}", code=2)


def _values(task: str, known: Sequence[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values, each as its option takes it."""
    values = {}
    for option in known:
        try:
            values[option.name] = option.value(given[option.name])
        except ValueError as error:
            said = f"error: {option.flag} {given[option.name]}: {error}"
            raise Exit(f"{said}\n  next: invoke --help {task}", code=2) from None
    return values


def task(
    target: str,
    says: str,
    *options: Option,
    remainder: bool = False,
    name: str = "",
    adjust: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Task[Any]:
    """A task that calls `target` (`module.function`, as `lab.commands.command` reads it) with its options.

    The task is called `name`, or as the function is. Every task gets `--verbose`; `remainder` hands on what
    stands after `--` as `arguments`, word by word; `adjust` may change what is handed on.
    """
    known = sorted((*options, VERBOSE), key=lambda item: not (item.repeated or item.default is REQUIRED))
    context = Parameter("c", Parameter.POSITIONAL_OR_KEYWORD)
    signature = Signature([context, *(item.parameter() for item in known)])

    repeated = [item.name for item in known if item.repeated]

    def body(c: Context, **given: Any) -> None:
        bound = signature.bind(c, **given, **{name: () for name in repeated if name not in given})
        bound.apply_defaults()
        bound.arguments.update({name: tuple(bound.arguments[name]) for name in repeated})
        del bound.arguments["c"]
        bound.arguments.update(_values(called(body), known, bound.arguments))
        _no_options(called(body), bound.arguments)
        if remainder:
            bound.arguments["arguments"] = handed_on(sys.argv)
        adjust(bound.arguments)
        run(target, **bound.arguments)

    body.__name__ = name or target.rpartition(".")[2]
    body.__doc__ = says
    body.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads
    made = _Task(
        body,
        positional=[item.name for item in options if item.default is REQUIRED],
        iterable=repeated,
        help={item.name: item.help for item in known},
    )
    made.remainder = remainder
    return made


def menus() -> dict[str, tuple[Task[Any], ...]]:
    """The commands of providers' own, by the provider's name: `MENU` of each `lab/providers/NAME/menu.py`."""
    found = sorted(path.parent.name for path in _PROVIDERS.glob("*/menu.py"))
    return {name: _told(part, f"lab.providers.{name}.menu", "MENU") for name in found}


def _told(ask: Callable[..., Any], *arguments: str) -> Any:
    """An answer that is needed to open the menu; what is wrong in a file of it ends every command."""
    try:
        return ask(*arguments)
    except PlumblineError as error:
        raise Exit(f"error: {error}", code=error.exit_code) from None


def whole(tasks: Sequence[Task[Any]], groups: Mapping[str, Collection]) -> Collection:
    """All tasks and groups of them as one menu. Ends the command where two have the same name: Invoke would
    let the last one take the place of the first."""
    names = [*(item.name for item in tasks), *groups]
    for name in sorted({name for name in names if names.count(name) > 1}):
        said = f"error: tasks.py: {name}: two commands have this name"
        raise Exit(f"{said}\n  next: rename one: the operation's file, or the provider's folder", code=2)
    made = Collection(*tasks)
    for name, group in groups.items():
        made.add_collection(group, name)
    return made


Operations = Mapping[str, tuple[Option, ...]]
"""The options of each operation, besides those that every operation takes."""


def operating(known: Operations) -> list[Task[Any]]:
    """The task of each operation, whose help is the docstring of its file, and the one that prints a plan."""
    for missing in sorted({*operations.names()} ^ {*known}):
        file = f"lab/operations/{missing}.py"
        said = f"tasks.py: OPERATIONS: {missing}: there is no {file}"
        if missing not in known:
            said = f"{file}: tasks.py has no line for it in OPERATIONS"
        raise Exit(f"error: {said}\n  next: write it, or remove the other", code=2)
    return [_planning(known), *(_operation(name, options) for name, options in known.items())]


def _operation(name: str, options: tuple[Option, ...]) -> Task[Any]:
    """The task of one operation; its help is the docstring of its file."""

    def named(given: dict[str, Any]) -> None:
        given["operation"] = name

    return task(
        "operating.operate", _told(operations.meaning, name), *LAB, *options, DRY_RUN, name=name, adjust=named
    )


def _planning(known: Operations) -> Task[Any]:
    """The task that prints the plan of any operation, with the options of all of them."""
    options = {option.name: option for taken in known.values() for option in taken}

    def only_its_own(given: dict[str, Any]) -> None:
        of = given["of"]
        if of not in known:
            raise Exit(f"error: --of {of}: no such operation; there are: {', '.join(known)}", code=2)
        for foreign in [name for name in options if name not in {item.name for item in known[of]}]:
            if given.pop(foreign) != options[foreign].default:
                raise Exit(f"error: --{foreign.replace('_', '-')}: {of} takes no such option", code=2)

    says = (
        "Print what build would change, or another operation.\n\n"
        "Ends with 10 when there is something to do, and with 0 when there is nothing."
    )
    of = Option("of", f"an operation: {', '.join(known)}", "build")
    return task("operating.plan", says, *LAB, of, *options.values(), adjust=only_its_own)
