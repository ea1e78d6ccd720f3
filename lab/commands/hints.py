"""The commands that messages propose, with the user's own lab in them."""

from __future__ import annotations

import re
from collections.abc import Mapping

OF_A_LAB = ("inventory", "provider")
"""The options that say which lab is meant."""

_taken: dict[str, dict[str, str]] = {}
"""For each command of the menu the options of those that it takes, with their defaults."""


def register(command: str, defaults: Mapping[str, str]) -> None:
    """The menu has a command with these options; one without an inventory is of no lab."""
    if "inventory" in defaults:
        _taken[command] = {name: defaults[name] for name in OF_A_LAB if name in defaults}


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

    return re.sub(r"\binvoke (?:[a-z]+\.)?(?P<name>[a-z]+)\b(?! -i)", completed, text)
