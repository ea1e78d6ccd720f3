"""Options of tasks: what each means, and how the text that was typed becomes its value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from inspect import Parameter
from typing import Any


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

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return f"--{self.name.strip('_').replace('_', '-')}"

    @property
    def help(self) -> str:
        """Its meaning, and what it takes if that is a number: Invoke is told that all values are text."""
        kind = type(self.default)
        if kind not in NUMBERS:
            return self.meaning
        usual = f", default {self.default}" if self.default else ""
        return f"{self.meaning} ({NUMBERS[kind].what}{usual})"

    def value(self, given: Any) -> Any:
        """What was given, as a number if that is what it takes. Raises `ValueError` with the rule."""
        kind = type(self.default)
        if kind not in NUMBERS or not isinstance(given, str):
            return given
        if not NUMBERS[kind].form.fullmatch(given):
            raise ValueError(f"must be {NUMBERS[kind].rule}, as {self.default or NUMBERS[kind].example}")
        return kind(given)


@dataclass(frozen=True)
class _Kind:
    """A kind of number: how a person calls it, in short and as a rule, how it is written, one of them."""

    what: str
    rule: str
    form: re.Pattern[str]
    example: int | float


NUMBERS = {
    int: _Kind(
        "a whole number",
        "a whole number of at most 9 digits",
        re.compile(r"-?[0-9]{1,9}", re.ASCII),
        20,
    ),
    float: _Kind(
        "a number",
        "a number of at most 9 digits before and behind its point",
        re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII),
        2.5,
    ),
}


REQUIRED = Parameter.empty
VERBOSE = Option("verbose", "show the traceback of an error", False)
INVENTORY = Option("inventory", "name in inventory/ or path of a file", "rehearsal")
PROVIDER = Option("provider", "rehearse with another provider, on this machine")
SOURCE = Option("source", "where artefacts come from: auto, upstream, modules or mirror", "auto")
HOST = Option("host", "name of a host")
SELECT = Option("select", "rows, hosts or names")
JSON = Option("json", "print JSON", False)
DRY_RUN = Option("dry_run", "print what would be changed, as `invoke plan --of` does", False)
LAB = (INVENTORY, PROVIDER)
