"""Rules for a file with refused fields: judged on what is left, so that all errors are told at once.

Refused values are replaced by their default or a stand-in until the model takes the rest. A rule's problem
that touches a replaced place is dropped, because it would judge a value nobody wrote.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.inventory import shape
from lab.inventory.complete import inventory_model
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.stand_ins import stand_in
from lab.inventory.types import ANY_NAME

PASSES = 6
"""A stand-in for a whole section needs stand-ins for its keys: an inventory is six levels deep."""


def salvage(data: Any) -> tuple[Inventory | None, set[Loc]]:
    """A model of whatever is right in `data`, and the places that were replaced.

    None when nothing useful is left.
    """
    left, replaced = deepcopy(data), set[Loc]()
    for _ in range(PASSES):
        try:
            return inventory_model().model_validate(left, context=ANY_NAME), replaced
        except ValidationError as error:
            if not isinstance(left, dict):
                return None, replaced
            try:
                for detail in error.errors(include_url=False, include_context=False):
                    _replace(left, detail, replaced)
            except LookupError:  # a type of an add-on's that only it knows values of
                return None, replaced
    return None, replaced


def trusted(problems: Iterable[Problem], replaced: set[Loc]) -> list[Problem]:
    """The problems that rest on values which people wrote, or on defaults they left alone."""
    return [problem for problem in problems if not _touches(problem, replaced)]


def _touches(problem: Problem, replaced: set[Loc]) -> bool:
    read = (problem.path, *problem.others)
    if any(
        path[:length] in replaced for path in (*read, *problem.depends) for length in range(1, len(path) + 1)
    ):
        return True
    return any(place[: len(path)] == path for path in problem.depends for place in replaced)


def _replace(data: dict[str, Any], detail: ErrorDetails, replaced: set[Loc]) -> None:
    path = shape.refused(detail)
    if detail["type"] not in ("extra_forbidden", "missing"):
        path = _replaceable(path)
    replaced.add(path)
    parent: Any = data
    for part in path[:-1]:
        try:
            parent = parent[part]
        except (KeyError, IndexError, TypeError):
            return  # gone with something above it
    key = path[-1]
    if isinstance(parent, list) and isinstance(key, int):
        parent[key] = stand_in(path)
    elif isinstance(parent, dict):
        if detail["type"] == "extra_forbidden":
            meant = shape.meant(path)
            if meant and meant not in parent:
                replaced.add((*path[:-1], meant))  # its default is not what people wanted
        parent.pop(key, None)
        if _is_named(path):
            parent[key] = {}
        elif _required(path):
            parent[key] = stand_in(path)


def _replaceable(path: Loc) -> Loc:
    """The nearest place at or above `path` that may be left out or has a stand-in."""
    while len(path) > 1:
        here = shape.place(path)
        # an optional list is left out as a whole
        in_list = isinstance(path[-1], int) and _required(path[:-1])
        if in_list or _is_named(path) or (here and here.field):
            break
        path = path[:-1]
    return path


def _is_named(path: Loc) -> bool:
    return len(path) == 2 and path[0] in ("hosts", "hypervisors")


def _required(path: Loc) -> bool:
    here = shape.place(path)
    return here is not None and here.required
