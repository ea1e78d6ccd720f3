"""Patterns of paths as the roles write them, after a shell's (glob(7), bash's brace expansion and globstar).

`*` and `?` stay within a folder and mean hidden files too, `**/` any folders below, `[...]` a set of
characters; `{one,two}` stands for two patterns.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache


def spread(pattern: str) -> tuple[str, ...]:
    """The patterns without braces for which one with them stands."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return (pattern,)
    before, after = pattern[: found.start()], pattern[found.end() :]
    return tuple(one for word in found.group(1).split(",") for one in spread(f"{before}{word}{after}"))


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    words = {"**/": "(?:[^/]+/)*", "*": "[^/]*", "?": "[^/]"}
    alternatives = []
    for one in spread(pattern):
        parts = re.split(r"(\*\*/|\*|\?|\[!?[^\]]+\])", one)
        alternatives.append("".join(words.get(part) or _set_or_text(part) for part in parts))
    return re.compile("|".join(alternatives))


def _set_or_text(part: str) -> str:
    if not part.startswith("["):
        return re.escape(part)
    return f"[^/{part[2:]}" if part.startswith("[!") else part


def matches(path: str, pattern: str) -> bool:
    """Whether a path is one that a pattern means."""
    return _expression(pattern).fullmatch(path) is not None


def among(path: str, patterns: Iterable[str]) -> bool:
    """Whether a path is one that some pattern means."""
    return any(matches(path, pattern) for pattern in patterns)
