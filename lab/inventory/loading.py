"""One inventory from its file: text, plain data, model, rules; every error at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from lab.errors import InputError
from lab.inventory import document, fields, files
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Mark, Problem, Source, line_of
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
    data, source = _data(text, name)
    try:
        inventory = Inventory.model_validate(data)
    except ValidationError as error:
        raise refusal(fields.problems(error, source), source) from None
    if provider:
        inventory, notes = rehearse(inventory, provider)
        inventory._notes = notes
    return inventory


def _data(text: str, name: str) -> tuple[Any, Source]:
    try:
        read = document.read(text)
    except document.Unreadable as error:
        raise refusal([error.problem], Source(name, {error.problem.path: Mark(error.line)})) from None
    source = Source(name, read.marks)
    if read.problems:
        lines = [
            line_of(problem, Source(name, {**read.marks, problem.path: Mark(line)}))
            for line, problem in read.problems
        ]
        raise InputError("\n".join(lines))
    return read.data, source


def refusal(problems: list[Problem], source: Source, values: Mapping[Loc, str] | None = None) -> InputError:
    """All problems as one error, one line each."""
    return InputError("\n".join(line_of(problem, source, values) for problem in problems))
