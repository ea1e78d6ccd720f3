"""Jinja2 as we use it: an undefined name is an error, values are quoted, templates hold no decisions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PrefixLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)

from lab.addons import FOLDER as ADDONS
from lab.errors import InputError
from lab.own_yaml import in_checkout
from lab.parts import at
from lab.render.roles import TEMPLATES

_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_ENCODE = json.JSONEncoder(ensure_ascii=False).encode


def quote(value: object) -> str:
    """Any value as JSON: the same value to YAML 1.1 and YAML 1.2 readers.

    JSON leaves some characters as they are that a YAML reader refuses or folds: they are escaped as well.
    """
    if isinstance(value, tuple):
        value = [item if isinstance(item, str | int | dict) else str(item) for item in value]
    elif not isinstance(value, str | bool | int | float | dict | list):
        value = str(value)
    return _quoted(value) if isinstance(value, str) else _escaped(value)


def _escaped(value: object) -> str:
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found.group(0)):04x}", _ENCODE(value))


_quoted = lru_cache(maxsize=256)(_escaped)
"""Of texts: most files of a host are those of the host before it."""


def to_yaml(value: dict[str, Any]) -> str:
    """A mapping as YAML lines, nothing for an empty one."""
    return yaml.safe_dump(value, default_flow_style=False, sort_keys=True).rstrip() if value else ""


def variables(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Environment variables as a container of Kubernetes lists them."""
    return [{"name": name, "value": value} for name, value in values.items()]


@cache
def environment() -> Environment:
    """The one environment of all templates."""
    made = Environment(
        loader=ChoiceLoader(
            [FileSystemLoader(TEMPLATES), PrefixLoader({"addons": FileSystemLoader(ADDONS)})]
        ),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # configuration files, not HTML
    )
    made.filters["quote"] = quote
    made.filters["yaml"] = to_yaml
    made.filters["variables"] = variables
    return made


def render(template: str, **values: Any) -> str:
    """The text of `template` (a path below templates/, or addons/NAME/..., without .j2).

    Raises `InputError` with file and line for a template that is not there, is none, or uses a name that has
    no value.
    """
    try:
        return environment().get_template(f"{template}.j2").render(**values)
    except TemplateNotFound as error:
        said = f"templates/{error.name}: there is no such template"
        raise InputError(said, next_step=f"git checkout -- templates/{error.name}") from None
    except TemplateSyntaxError as error:
        place = f"{in_checkout(Path(error.filename or template))}:{error.lineno}"
        raise InputError(f"{place}: {error.message}", next_step="correct the template") from None
    except TemplateError as error:
        raise InputError(f"{at(error, '.j2')}: {error.message}", next_step="correct the template") from error
