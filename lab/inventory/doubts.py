"""Values that are hardly what was meant: `#` behind a blank ends a value without quotes, or stands for it."""

from __future__ import annotations

import re

from lab.inventory.problems import Loc, Problem

_CUT = re.compile(r"[ \t]+#[^\s#]")
"""A comment without a blank after its sign: more likely a value, or the rest of one."""
_INSTEAD = re.compile(rf"[ \t]*:?{_CUT.pattern}")


def doubts(path: Loc, written: str, value: object, text: str, end: int) -> list[Problem]:
    """What is to say of a plain value at `path` whose own text ends at `end`; for an empty one its key's end.

    The comment itself is not repeated: the rest of a password would be in it.
    """
    if not written and _INSTEAD.match(text, end):
        rule = "is empty: to YAML everything from # on is a comment"
        return [Problem(path, rule, "put the value in quotes, or remove the key", value="")]
    if not written:
        rule = "is empty, as if the key were not there"
        return [Problem(path, rule, "write a value, or remove the key", value="", warning=True)]
    if isinstance(value, str) and _CUT.match(text, end):
        rule = "ends before #, because to YAML the rest of the line is a comment"
        fix = "put the whole value in quotes; for a comment write a blank after #"
        return [Problem(path, rule, fix, warning=True)]
    return []
