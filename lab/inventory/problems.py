"""What is wrong with an inventory, and how one problem becomes one line.

A problem knows places (paths), never line numbers; a `SourceText` knows which line a path stands on and what
is written there. So rules can be tested on models alone and every line of output looks the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

Loc = tuple[str | int, ...]
"""The place of a value: keys and list indices from the top of the file."""

SHOWN_CHARACTERS = 60
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


class Unfit(ValueError):
    """A value breaks the rule of its own field; `fix` says what to write instead.

    `secret` keeps the value itself out of every message.
    """

    def __init__(self, rule: str, fix: str, *, secret: bool = False) -> None:
        super().__init__(f"{rule}; {fix}")
        self.rule, self.fix, self.secret = rule, fix, secret


@dataclass(frozen=True)
class Problem:
    """One rule that does not hold.

    `others` are the other owners of a clash, `depends` further places whose values the rule read: a problem
    is dropped when one of those places was itself refused. `value` replaces what the file says at `path`,
    `line` the line of it: of two equal keys only the first is at its path.
    """

    path: Loc
    rule: str
    fix: str
    others: tuple[Loc, ...] = ()
    depends: tuple[Loc, ...] = ()
    value: str | None = None
    warning: bool = False
    line: int | None = None


@dataclass(frozen=True)
class TextMark:
    """Where a value stands: 1-based line, and its text as written ("" for lists and mappings)."""

    line: int
    text: str = ""


@dataclass(frozen=True)
class SourceText:
    """The file a problem is about: its name as people typed it, and the mark of every path in it."""

    name: str
    marks: Mapping[Loc, TextMark] = field(default_factory=dict)

    def nearest(self, path: Loc) -> Loc:
        """The longest beginning of a path that stands in the file; () is the file itself."""
        while path and path not in self.marks:
            path = path[:-1]
        return path

    def line(self, path: Loc) -> int:
        """The line of a path, or of the nearest place above it."""
        mark = self.marks.get(self.nearest(path))
        return mark.line if mark else 1


def dotted(path: Loc) -> str:
    """A path as people read it: `metallb.pools[0].name`, `hosts.worker-1.labels["example.com/rack"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _BARE_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f'["{shown(part)}"]'
    return text or "(file)"


def shown(text: str) -> str:
    """A value on one line: control characters escaped, long texts cut, private keys hidden."""
    if "PRIVATE KEY" in text:
        return "(not shown)"
    plain = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text[: SHOWN_CHARACTERS + 1])
    return plain if len(text) <= SHOWN_CHARACTERS else plain[:SHOWN_CHARACTERS] + "..."


def line_of(problem: Problem, source: SourceText, value_of: Callable[[Loc], str]) -> str:
    """One problem as `file:line: path: value: rule (other owners); fix`.

    `value_of` tells the default that was taken at a place that is not written in the file ("" if none). A
    problem whose own place is not in the file is told at another owner's place that is.
    """
    path, others = problem.path, problem.others
    if path not in source.marks:
        written = next((other for other in others if other in source.marks), None)
        if written is not None:
            others = (path, *(other for other in others if other != written))
            path = written
    place = source.nearest(path)
    parts = [f"{source.name}:{problem.line or source.line(path)}", dotted(place)]
    value = problem.value if problem.value is not None else _value(path, source, value_of)
    if place != path:
        parts.append(f"{dotted(path[len(place) :])} {value}".strip())
    elif value:
        parts.append(value)
    also = ", ".join(_owner(other, source, value_of) for other in others)
    parts.append(f"{problem.rule} [{also}]" if also else problem.rule)
    return f"{'warning: ' if problem.warning else ''}{': '.join(parts)}; {problem.fix}"


def _value(path: Loc, source: SourceText, value_of: Callable[[Loc], str]) -> str:
    if path in source.marks:
        return shown(source.marks[path].text)
    default = value_of(path)
    return f"(default {shown(default)})" if default else ""


def _owner(path: Loc, source: SourceText, value_of: Callable[[Loc], str]) -> str:
    value = _value(path, source, value_of)
    where = f", line {source.line(path)}" if path in source.marks else ""
    return f"{dotted(path)}{' ' + value if value else ''}{where}"


def closest(word: str, known: Iterable[str]) -> str:
    """The known name that was most likely meant; "" when none is near."""
    from difflib import get_close_matches  # only people who mistype pay for the import

    names = list(known)
    near = get_close_matches(word.lower().replace("-", "_"), names, 1) or get_close_matches(word, names, 1)
    return near[0] if near else ""
