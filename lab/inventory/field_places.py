"""A place of a model: its type, its keys, its choices, what it is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from operator import ge, gt, le, lt
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from lab.inventory.problems import Loc

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
    def may_be_none(self) -> bool:
        """Whether nothing may stand there."""
        return get_origin(self.kind) in (Union, UnionType) and NoneType in get_args(self.kind)

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


def below(model: type[BaseModel], path: Loc) -> FieldPlace | None:
    """The place of a path in a model; None where it knows no such key."""
    here = FieldPlace(model)
    for part in path:
        inner = here.model
        if inner is not None:
            field = inner.model_fields.get(str(part))
            if field is None:
                return None
            here = FieldPlace(field.annotation, field)
            continue
        items = [item for item in get_args(_without_none(here.kind)) if item is not ...]
        if not items:
            return None
        here = FieldPlace(_bare(items[-1]))
    return here


def _without_none(kind: Any) -> Any:
    """`X | None` as X."""
    if get_origin(kind) in (Union, UnionType):
        kind = next(item for item in get_args(kind) if item is not NoneType)
    return _bare(kind)


def _bare(kind: Any) -> Any:
    """`Annotated[X, ...]` as X."""
    return kind.__origin__ if hasattr(kind, "__metadata__") else kind
