"""The versions that an inventory may name: those of the catalogue that the acceptance suite has proven."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from pydantic.config import JsonDict

from lab.catalogue.load import load_catalogue


def tested(section: str) -> tuple[str, ...]:
    """The versions that a section may name, the default first; none where it names no version of ours.

    One is among them when `invoke verify` has passed with it: the catalogue then no longer calls it untested.
    """
    catalogue = load_catalogue()
    return catalogue.tested(section) if section in catalogue.sections else ()


def untested(section: str) -> dict[str, str]:
    """The versions of a section that can be built but not named: version -> why."""
    return {version: why for version, why in load_catalogue().versions(section).items() if why}


def default_version(section: str) -> str:
    """The version that a section has unless it says otherwise."""
    return tested(section)[0]


def version_field(section: str, description: str, *, v: bool = True, marks: JsonDict | None = None) -> Any:
    """The field `version` of a section, written with its v or without, as the project does.

    Its default is read when it is needed, not when this is imported. `marks` stand in its schema.
    """

    def default() -> str:
        return default_version(section) if v else default_version(section).removeprefix("v")

    def shown(schema: JsonDict) -> None:
        schema.update(default=default(), **(marks or {}))

    return Field(default_factory=default, description=description, json_schema_extra=shown)
