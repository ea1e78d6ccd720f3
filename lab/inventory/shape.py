"""What the whole model knows about a place of the file, and what people meant who wrote another."""

from __future__ import annotations

from pydantic_core import ErrorDetails

from lab.inventory.complete import inventory_model
from lab.inventory.field_places import FieldPlace, below
from lab.inventory.problems import Loc, closest


def place(path: Loc) -> FieldPlace | None:
    """The place of a path in the models; None where they know no such key."""
    return below(inventory_model(), path)


def keys_at(path: Loc) -> list[str]:
    """The keys that a model knows at a place; none where names are free."""
    here = place(path)
    return list(here.model.model_fields) if here and here.model else []


def refused(detail: ErrorDetails) -> Loc:
    """The place in the file that an error of the model is about."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def meant(unknown: Loc) -> str:
    """The key that people meant who wrote an unknown one; "" when none is near."""
    return closest(str(unknown[-1]), keys_at(unknown[:-1]))
