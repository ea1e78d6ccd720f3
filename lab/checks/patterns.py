"""Patterns of paths as the roles write them: `*` within a folder, `**/` for folders below (glob(7))."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*|\?)", pattern)
    words = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))


def matches(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern means."""
    return _expression(pattern).fullmatch(path) is not None


def among(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path is one that some pattern means."""
    return any(matches(path, pattern) for pattern in patterns)
