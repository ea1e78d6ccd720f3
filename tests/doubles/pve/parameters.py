"""How a parameter of the API is described, and how a value is judged by its description, as PVE does.

Values come as text (form, query) and leave as str, int or bool; every fault of a request is named at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.doubles.pve.answers import ApiError
from tests.doubles.pve.formats import FORMATS, property_string

UNKNOWN = "property is not defined in schema and the schema does not allow additional properties"
MISSING = "property is missing and it is not optional"


@dataclass(frozen=True)
class Parameter:
    """One parameter; `keys` are the words of a property string such as net0's, its default word first."""

    kind: str
    needed: bool = False
    format: str = ""
    keys: tuple[str, ...] = ()
    least: int | None = None
    most: int | None = None
    shortest: int | None = None
    longest: int | None = None
    pattern: str = ""
    choices: tuple[str, ...] = ()
    requires: str = ""

    def parse(self, value: str) -> str | int | bool:
        """The value in its own type. Raises `ValueError` with PVE's words."""
        if self.kind == "boolean":
            return _boolean(value)
        if self.kind == "integer":
            return self._integer(value)
        if self.shortest is not None and len(value) < self.shortest:
            raise ValueError(f"value must be at least {self.shortest} characters long")
        if self.longest is not None and len(value) > self.longest:
            raise ValueError(f"value may only be {self.longest} characters long")
        if self.pattern and not re.fullmatch(self.pattern, value):
            raise ValueError("value does not match the regex pattern")
        if self.choices and value not in self.choices:
            raise ValueError(
                f"value '{value}' does not have a value in the enumeration '{', '.join(self.choices)}'"
            )
        check: Callable[[str], object] | None = FORMATS.get(self.format)
        if check is not None:
            check(value)
        if self.keys:
            property_string(value, self.keys)
        return value

    def _integer(self, value: str) -> int:
        if not re.fullmatch(r"[+-]?\d+", value):
            raise ValueError(f"type check ('integer') failed - got '{value}'")
        number = int(value)
        if self.least is not None and number < self.least:
            raise ValueError(f"value must have a minimum value of {self.least}")
        if self.most is not None and number > self.most:
            raise ValueError(f"value must have a maximum value of {self.most}")
        return number


def _boolean(value: str) -> bool:
    """PVE's words for yes and no; Python's `True` is none of them."""
    if re.fullmatch(r"1|on|yes|true", value, re.IGNORECASE):
        return True
    if re.fullmatch(r"0|off|no|false", value, re.IGNORECASE):
        return False
    raise ValueError(f"type check ('boolean') failed - got '{value}'")


def text(
    format: str = "",
    *,
    needed: bool = False,
    keys: tuple[str, ...] = (),
    shortest: int | None = None,
    longest: int | None = None,
    pattern: str = "",
    choices: tuple[str, ...] = (),
    requires: str = "",
) -> Parameter:
    """A string."""
    return Parameter(
        "string",
        needed,
        format,
        keys,
        shortest=shortest,
        longest=longest,
        pattern=pattern,
        choices=choices,
        requires=requires,
    )


def integer(
    format: str = "", least: int | None = None, most: int | None = None, *, needed: bool = False
) -> Parameter:
    """A whole number within its bounds."""
    return Parameter("integer", needed, format, least=least, most=most)


def boolean(*, requires: str = "") -> Parameter:
    """Yes or no; PVE has no boolean that must be given."""
    return Parameter("boolean", requires=requires)


def parse_all(described: Mapping[str, Parameter], given: Mapping[str, str]) -> dict[str, Any]:
    """Every value in its own type. Raises `ApiError` 400 with a text for each wrong parameter."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, value in given.items():
        parameter = described.get(_family(name, described))
        if parameter is None:
            errors[name] = UNKNOWN
            continue
        try:
            values[name] = parameter.parse(value)
        except ValueError as error:
            errors[name] = str(error)
        if parameter.requires and parameter.requires not in given:
            errors[parameter.requires] = f"missing property - '{name}' requires this property"
    for name, parameter in described.items():
        if parameter.needed and name not in given:
            errors[name] = MISSING
    if errors:
        raise ApiError(400, "Parameter verification failed.", errors)
    return values


def _family(name: str, described: Mapping[str, Parameter]) -> str:
    """The name a parameter is described under: `net0` as `net[n]`, where there is such a family."""
    family = re.sub(r"\d+$", "[n]", name)
    return name if name in described or family not in described else family
