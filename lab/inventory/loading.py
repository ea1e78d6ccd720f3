"""One inventory from its file: text, plain data, model, rules; every error at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from lab.errors import InputError
from lab.inventory import document, fields, files, rules, salvage
from lab.inventory.complete import inventory_model
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem, Source, line_of
from lab.inventory.rehearsal import rehearse


def load(name_or_path: str, *, provider: str | None = None) -> Inventory:
    """The inventory `-i name_or_path` means, rehearsed by `provider` when one is given.

    Raises `InputError` with all problems of the file, one a line.
    """
    path = files.locate(name_or_path)
    return parse(files.read_text(path), files.display(path), provider=provider)


def parse(text: str, name: str, *, provider: str | None = None) -> Inventory:
    """The inventory in a text; `name` is what messages call the file.

    Raises `InputError` with all problems, one a line.
    """
    try:
        read = document.read(text)
    except document.Unreadable as error:
        raise _refusal([error.problem], Source(name)) from None
    source = Source(name, read.marks)
    inventory, found = _judged(read.data, source)
    if inventory is None or read.problems or _wrong(found):
        raise _refusal([*read.problems, *_wrong(found)], source, inventory)
    notes: tuple[str, ...] = ()
    if provider:
        rehearsed, notes = rehearse(inventory, provider)
        if rehearsed is not inventory:
            inventory, found = rehearsed, rules.check(rehearsed)
            if _wrong(found):
                raise _refusal(_wrong(found), source, inventory)
    value_of = _value_of(inventory)
    warnings = tuple(line_of(problem, source, value_of) for problem in found if problem.warning)
    return inventory.told(notes, warnings)


def _judged(data: Any, source: Source) -> tuple[Inventory | None, list[Problem]]:
    """The model of the data, or of what can be used of it (None: nothing), and all there is to say."""
    try:
        inventory = inventory_model().model_validate(data)
    except ValidationError as error:
        found = fields.problems(error, source)
        left, replaced = salvage.salvage(data)
        if left is not None:
            found += salvage.trusted(rules.check(left), replaced)
        return left, found
    return inventory, rules.check(inventory)


def _wrong(found: list[Problem]) -> list[Problem]:
    """The problems that are more than warnings."""
    return [problem for problem in found if not problem.warning]


def _refusal(problems: list[Problem], source: Source, inventory: Inventory | None = None) -> InputError:
    """All problems as one error, one line each, in the order of the file."""
    value_of = _value_of(inventory)
    ordered = sorted(problems, key=lambda problem: problem.line or source.line(problem.path))
    lines = dict.fromkeys(line_of(problem, source, value_of) for problem in ordered)
    return InputError("\n".join(lines))


def _value_of(inventory: Inventory | None) -> Callable[[Loc], str]:
    """What a model holds at a place that the file leaves out: "" when it holds nothing either."""

    def value(path: Loc) -> str:
        found: Any = inventory
        for part in path:
            if isinstance(part, int) or isinstance(found, Mapping):
                return ""  # only what has a default can be missing
            found = getattr(found, part, None)
        return "" if found is None or isinstance(found, BaseModel | Mapping | tuple) else str(found)

    return value
