"""From one line of `tasks.py` to a task of the menu."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import Task

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
YES = Option("yes", "name of the lab: remove it without being asked, though it is not disposable")
LOSE_QUORUM = Option("lose_quorum", "remove even a master that etcd cannot do without", False)
LAB = (INVENTORY, PROVIDER)
REMOVAL = (*LAB, HOST, YES, LOSE_QUORUM)


def _no_options(task: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a value that begins with a dash: Invoke takes `TASK --help` for a value of TASK's."""
    for name, value in arguments.items():
        if isinstance(value, str) and value.startswith("-"):
            said = f"error: {name}: {value}: begins with a dash, which no {name} does"
            raise Exit(f"{said}\n  next: invoke --help {task}", code=2)


def task(target: str, says: str, *options: Option, remainder: bool = False) -> Task[Any]:
    """A task that calls `target` (`module.function` of `lab.commands`) with its options, by their names.

    The task is called as the function is. Every task gets `--verbose`; `remainder` hands on what stands after
    `--` as `arguments`.
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
        run(target, **bound.arguments)

    body.__name__ = target.rpartition(".")[2]
    body.__doc__ = says
    body.__signature__ = signature  # type: ignore[attr-defined]  # what inspect.signature reads
    return Task(
        body,
        positional=[item.name for item in options if item.default is REQUIRED],
        iterable=[item.name for item in options if item.repeated],
        help={item.name: item.meaning for item in known},
    )
