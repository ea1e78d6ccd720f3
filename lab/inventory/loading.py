"""One inventory from its file: text, plain data, model, rules; every error at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from lab.errors import InputError
from lab.inventory import document, files, rules
from lab.inventory.complete import inventory_model
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem, SourceText, line_of
from lab.inventory.rehearsal import rehearse


class RefusedError(InputError):
    """An inventory that cannot be: `message` holds its errors, one a line, `warnings` what else is told."""

    def __init__(self, message: str, warnings: tuple[str, ...]) -> None:
        super().__init__(message)
        self.warnings = warnings

    def __str__(self) -> str:
        return "\n".join((self.message, *self.warnings))


def load(name_or_path: str, *, provider: str | None = None) -> Inventory:
    """The inventory `-i name_or_path` means, rehearsed by `provider` when one is given.

    Raises `RefusedError` with all problems of the file, one a line.
    """
    path = files.locate(name_or_path)
    return parse(files.read_text(path), files.display(path), provider=provider)


def parse(text: str, name: str, *, provider: str | None = None) -> Inventory:
    """The inventory in a text; `name` is what messages call the file.

    Raises `RefusedError` with all problems, one a line.
    """
    try:
        read = document.read(text)
    except document.Unreadable as error:
        raise _refusal([error.problem], SourceText(name)) from None
    source = SourceText(name, read.marks)
    inventory, found = _judged(read.data, source)
    found = _told_once(read.doubts, found)
    if inventory is None or read.problems or _wrong(found):
        raise _refusal([*read.problems, *found], source, inventory)
    notes: tuple[str, ...] = ()
    if provider:
        rehearsed, notes = rehearse(inventory, provider)
        if rehearsed is not inventory:
            inventory, found = rehearsed, _told_once(read.doubts, rules.check(rehearsed))
            if _wrong(found):
                raise _refusal(found, source, inventory)
    value_of = _value_of(inventory)
    warnings = tuple(line_of(problem, source, value_of) for problem in found if problem.warning)
    return inventory.told(notes, warnings)


def _judged(data: Any, source: SourceText) -> tuple[Inventory | None, list[Problem]]:
    """The model of the data, or of what can be used of it (None: nothing), and all there is to say."""
    try:
        inventory = inventory_model().model_validate(data)
    except ValidationError as error:
        # a file that is refused is the exception, and commands on a sound one open sooner without these
        from lab.inventory import fields, salvage

        found = fields.problems(error, source)
        left, replaced = salvage.salvage(data)
        if left is not None:
            found += salvage.trusted(rules.check(left), replaced)
        return left, found
    return inventory, rules.check(inventory)


def _told_once(doubts: list[Problem], found: list[Problem]) -> list[Problem]:
    """All there is to say: of an empty value, why it is empty rather than that it must not be.

    An empty value that something else is said of needs no warning, too.
    """
    refused = {problem.path for problem in doubts if not problem.warning}
    found = [problem for problem in found if problem.path not in refused]
    known = {problem.path for problem in found}
    return [*(problem for problem in doubts if problem.path not in known), *found]


def _wrong(found: list[Problem]) -> list[Problem]:
    """The problems that are more than warnings."""
    return [problem for problem in found if not problem.warning]


def _refusal(problems: list[Problem], source: SourceText, inventory: Inventory | None = None) -> RefusedError:
    """All problems as one error, one line each, in the order of the file; warnings come behind."""
    value_of = _value_of(inventory)
    ordered = sorted(problems, key=lambda problem: problem.line or source.line(problem.path))
    errors, warnings = (
        tuple(dict.fromkeys(line_of(item, source, value_of) for item in ordered if item.warning is warning))
        for warning in (False, True)
    )
    return RefusedError("\n".join(errors), warnings)


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
