"""The commands that messages propose, with the user's own lab in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from invoke.collection import Collection

OF_A_LAB = ("inventory", "provider")
"""The options that say which lab is meant."""

_taken: dict[str, dict[str, str]] = {}
"""For each command of the menu that is about a lab: which of these options it takes, with their defaults."""

_called: dict[Callable[..., Any], str] = {}
"""The name of each function of the menu, with its group's."""


def register(menu: Collection) -> None:
    """Read off the menu which of its commands take a lab; `tasks.py` does it once, when it is complete."""
    for name in menu.task_names:
        _called[menu[name].body] = name
        defaults = {key: item.default for key, item in signature(menu[name].body).parameters.items()}
        if "inventory" in defaults:
            _taken[name] = {key: defaults[key] for key in OF_A_LAB if key in defaults}


def called(body: Callable[..., Any]) -> str:
    """What is typed behind `invoke` to run a function of the menu."""
    return _called.get(body, body.__name__)


def with_options(text: str, chosen: Mapping[str, str]) -> str:
    """The text with the user's own -i and -p in each command it proposes that would else take another lab.

    `chosen` are the user's options by name; without an inventory among them no lab was meant.
    """
    if "inventory" not in chosen:
        return text

    def completed(found: re.Match[str]) -> str:
        said = found[0]
        for option, default in _taken.get(found["name"], {}).items():
            value = chosen.get(option, "")
            said += f" -{option[0]} {value}" if value not in ("", default) else ""
        return said

    return re.sub(r"\binvoke (?P<name>[a-z]+(?:\.[a-z]+)?)\b(?! -i)", completed, text)
