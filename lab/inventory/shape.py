"""What the models know about a place of the file: its type, its keys, its choices, what it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from lab.inventory.complete import inventory_model
from lab.inventory.problems import Loc, closest

_ENDS: dict[str, Callable[[Any, Any], bool]] = {"ge": ge, "gt": gt, "le": le, "lt": lt}


@dataclass(frozen=True)
class FieldPlace:
    """The type of a place; its field, when the place is a key of a model and not a free name or an item."""

    kind: Any
    field: FieldInfo | None = None

    @property
    def model(self) -> type[BaseModel] | None:
        """The model at this place, if it is one."""
        kind = _without_none(self.kind)
        return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None

    @property
    def required(self) -> bool:
        """Whether it is a key without default."""
        return self.field is not None and self.field.is_required()

    @property
    def choices(self) -> list[str]:
        """The values of a closed list; none for open ones."""
        kind = _without_none(self.kind)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return [member.value for member in kind]
        return list(get_args(kind)) if get_origin(kind) is Literal else []

    def holds(self, number: int) -> bool:
        """Whether a number lies within the limits of the field."""
        limits = [*(self.field.metadata if self.field else ()), *getattr(self.kind, "__metadata__", ())]
        ends = {sign: getattr(limit, sign) for limit in limits for sign in _ENDS if hasattr(limit, sign)}
        return all(_ENDS[sign](number, end) for sign, end in ends.items())

    @property
    def purpose(self) -> str:
        """What to write there, in one phrase."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.model:
            required = [key for key, field in self.model.model_fields.items() if field.is_required()]
            return f"a mapping with {', '.join(required or self.model.model_fields)}"
        text = (self.field.description or "").partition(";")[0].rstrip(".") if self.field else ""
        return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def place(path: Loc) -> FieldPlace | None:
    """The place of a path in the models; None where they know no such key."""
    here = FieldPlace(inventory_model())
    for part in path:
        model = here.model
        if model is not None:
            field = model.model_fields.get(str(part))
            if field is None:
                return None
            here = FieldPlace(field.annotation, field)
            continue
        items = [item for item in get_args(_without_none(here.kind)) if item is not ...]
        if not items:
            return None
        here = FieldPlace(_bare(items[-1]))
    return here


def keys_at(path: Loc) -> list[str]:
    """The keys that a model knows at a place; none where names are free."""
    here = place(path)
    return list(here.model.model_fields) if here and here.model else []


def _without_none(kind: Any) -> Any:
    """`X | None` as X."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(item for item in get_args(kind) if item is not type(None))
    return _bare(kind)


def _bare(kind: Any) -> Any:
    """`Annotated[X, ...]` as X."""
    return kind.__origin__ if hasattr(kind, "__metadata__") else kind


def refused(detail: ErrorDetails) -> Loc:
    """The place in the file that an error of the model is about."""
    return tuple(part for part in detail["loc"] if part != "[key]")


def meant(unknown: Loc) -> str:
    """The key that people meant who wrote an unknown one; "" when none is near."""
    return closest(str(unknown[-1]), keys_at(unknown[:-1]))
