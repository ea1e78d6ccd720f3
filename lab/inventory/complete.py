"""The whole model of an inventory file: the platform's fields, and one for each section of others."""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import Field, create_model

from lab.inventory.addon_sections import sections
from lab.inventory.models import Inventory
from lab.inventory.provider_sections import provider_sections
from lab.inventory.sections import Model


@cache
def inventory_model() -> type[Inventory]:
    """The model that files are read into. Raises `InputError` for add-ons that do not fit together."""
    fields: dict[str, Any] = {key: _optional(model) for key, model in provider_sections().items()}
    for addon, section in sections():
        if section.model is None:
            continue
        match section.presence:
            case "required":
                fields[addon.section] = (section.model, ...)
            case "default":
                fields[addon.section] = (section.model, section.model())
            case "optional":
                fields[addon.section] = _optional(section.model)
    return create_model("Inventory", __base__=Inventory, __doc__=_first_line(Inventory), **fields)


def _optional(model: type[Model]) -> tuple[Any, Any]:
    """The field of a section that a file may leave out."""
    return model | None, Field(None, description=_first_line(model))


def _first_line(model: type[Model]) -> str:
    """What a schema says of a model: the rest of its docstring is for whoever reads the code."""
    return (model.__doc__ or "").partition("\n")[0]
