"""Runs on a host, sent before the programs that answer a request section by section."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from typing import Any


def answer(sections: Iterable[Callable[[dict[str, Any]], Any]]) -> None:
    """Answer the request on standard input: each section that it asks for, by its name."""
    request = json.load(sys.stdin)
    found: dict[str, Any] = {}
    for section in sections:
        if section.__name__ in request["sections"]:
            try:
                found[section.__name__] = section(request)
            except Exception as error:  # reported, and raised again by whoever asks for this section
                found[section.__name__] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(found, sys.stdout)
