"""Values that places of an inventory take, for those that were refused: worked out from the models' types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, get_args, get_origin

from annotated_types import Ge
from pydantic import BaseModel, TypeAdapter, ValidationError

from lab.inventory.field_places import FieldPlace
from lab.inventory.problems import Loc
from lab.inventory.shape import place

_TEXTS = (
    *("refused", "192.0.2.2", "192.0.2.0/24", "1.0.0", "https://refused.invalid", "02:00:00:00:00:00"),
    f"sha256:{'0' * 64}",
)
"""Tried in turn. The addresses are documentation's (RFC 5737), which no lab has."""


def stand_in(path: Loc) -> Any:
    """A value for a place. Raises `LookupError` where none is found (no `examples` either)."""
    here = place(path)
    return _of_place(here) if here else {}


def _of_place(here: FieldPlace) -> Any:
    own = tuple(here.field.examples or ()) if here.field else ()
    metadata = tuple(here.field.metadata) if here.field else ()
    return _value(here.kind, metadata, own, here)


def _value(kind: Any, metadata: tuple[Any, ...], own: tuple[Any, ...], here: FieldPlace | None = None) -> Any:
    if here and here.model:
        return {}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {}
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple:
        return [_value(arguments[0], (), ())]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"refused": _value(arguments[1], (), ())}
    bounds = tuple(item.ge for item in metadata if isinstance(item, Ge))
    choices = tuple(here.choices) if here else ()
    for candidate in (*own, *choices, *bounds, *_TEXTS, 1, 1.0, True):
        try:
            _adapter(kind, metadata).validate_python(candidate)
        except ValidationError:
            continue
        return candidate
    raise LookupError(f"no stand-in for {kind}")


def _adapter(kind: Any, metadata: tuple[Any, ...]) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[(kind, *metadata)] if metadata else kind)
