"""From one line of `tasks.py` to a task of the menu."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

from lab import operations
from lab.commands import run


@dataclass(frozen=True)
class Option:
    """An option of a task: its default (none: it must be given, and may be without its name) and its meaning.

    A tuple as default makes an option that may be repeated.
    """

    name: str
    meaning: str
    default: Any = ""

    @property
    def repeated(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)

    def parameter(self) -> Parameter:
        """The option as Invoke reads it: it makes a list of a repeated option only if that has no default."""
        default = Parameter.empty if self.repeated else self.default
        return Parameter(self.name, Parameter.POSITIONAL_OR_KEYWORD, default=default)


REQUIRED = Parameter.empty
VERBOSE = Option("verbose", "show the traceback of an error", False)
INVENTORY = Option("inventory", "name in inventory/ or path of a file", "rehearsal")
PROVIDER = Option("provider", "rehearse with another provider (lxc: on this machine)")
SOURCE = Option("source", "where artefacts come from: auto, upstream, modules or mirror", "auto")
HOST = Option("host", "name of a host")
SELECT = Option("select", "rows, hosts or names")
JSON = Option("json", "print JSON", False)
DRY_RUN = Option("dry_run", "print what would be changed, as `invoke plan --of` does", False)
LAB = (INVENTORY, PROVIDER)


def _no_options(task: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a value that begins with a dash: Invoke takes `TASK --help` for a value of TASK's."""
    for name, value in arguments.items():
        if isinstance(value, str) and value.startswith("-"):
            said = f"error: {name}: {value}: begins with a dash, which no {name} does"
            raise Exit(f"{said}\n  next: invoke --help {task}", code=2)


def task(
    target: str,
    says: str,
    *options: Option,
    remainder: bool = False,
    name: str = "",
    adjust: Callable[[dict[str, Any]], None] = lambda _: None,
) -> Task[Any]:
    """A task that calls `target` (`module.function` of `lab.commands`) with its options, by their names.

    The task is called `name`, or as the function is. Every task gets `--verbose`; `remainder` hands on what
    stands after `--` as `arguments`; `adjust` may change what is handed on.
    """
    known = sorted((*options, VERBOSE), key=lambda item: not (item.repeated or item.default is REQUIRED))
    context = Parameter("c", Parameter.POSITIONAL_OR_KEYWORD)
    signature = Signature([context, *(item.parameter() for item in known)])

    def body(c: Context, **given: Any) -> None:
        bound = signature.bind(c, **given)
        bound.apply_defaults()
        del bound.arguments["c"]
        _no_options(body.__name__, bound.arguments)
        if remainder:
            bound.arguments["arguments"] = c.remainder
        adjust(bound.arguments)
        run(target, **bound.arguments)

    body.__name__ = name or target.rpartition(".")[2]
    body.__doc__ = says
    body.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads
    return Task(
        body,
        positional=[item.name for item in options if item.default is REQUIRED],
        iterable=[item.name for item in options if item.repeated],
        help={item.name: item.meaning for item in known},
    )


Operations = Mapping[str, tuple[Option, ...]]
"""The options of each operation, besides those that every operation takes."""


def operating(known: Operations) -> list[Task[Any]]:
    """The task of each operation, whose help is the docstring of its file, and the one that prints a plan."""
    return [_planning(known), *(_operation(name, options) for name, options in known.items())]


def _operation(name: str, options: tuple[Option, ...]) -> Task[Any]:
    """The task of one operation; its help is the docstring of its file."""

    def named(given: dict[str, Any]) -> None:
        given["operation"] = name

    return task(
        "operating.operate", operations.meaning(name), *LAB, *options, DRY_RUN, name=name, adjust=named
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
