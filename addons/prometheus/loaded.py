"""What Prometheus and Alertmanager have loaded beside what is rendered: configurations, and rules one by one.

A program tells its configuration with all defaults filled in, secrets hidden, and times in its own words, so
what is rendered must be a part of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab.own_yaml import loads

HIDDEN = "<secret>"
"""What is told instead of a URL that may hold a token."""
LONGEST = 120
_UNITS = {
    "ms": 1,
    "s": 1000,
    "m": 60_000,
    "h": 3_600_000,
    "d": 86_400_000,
    "w": 604_800_000,
    "y": 31_536_000_000,
}
_DURATION = re.compile(r"(?:\d+(?:ms|[smhdwy]))+")
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_SIZE = re.compile(r"(\d+)([KMGT])i?B")


def otherwise(rendered: Any, told: Any, path: str = "") -> Iterator[str]:
    """Each value of a rendered tree that the loaded one does not have: its path, and both values."""
    if isinstance(rendered, Mapping) and isinstance(told, Mapping):
        for key, value in rendered.items():
            yield from otherwise(value, told.get(key), f"{path}.{key}" if path else str(key))
    elif _of_parts(rendered) and _of_parts(told) and len(rendered) == len(told):
        for index, (ours, theirs) in enumerate(zip(rendered, told, strict=True)):
            name = _name(ours)
            yield from otherwise(ours, theirs, f"{path}[{name or index}]")
    elif told != HIDDEN and _same(rendered) != _same(told):
        yield f"{path}: {_short(told)} is loaded, {_short(rendered)} is rendered"


def _of_parts(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _name(value: Any) -> str:
    return str(value.get("job_name") or value.get("name") or "") if isinstance(value, Mapping) else ""


def _same(value: Any) -> Any:
    """A value in a form that is equal for what means the same."""
    if not value:
        return None
    match value:
        case list():
            # matchers are told in an order of their own
            return sorted(str(_same(item)) for item in value)
        case str() if _DURATION.fullmatch(value):
            return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(value))
        case str() if _SIZE.fullmatch(value):
            return _SIZE.sub(r"\1\2B", value)
    return value


def _short(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


@dataclass(frozen=True)
class Rule:
    """One rule: its group, its name, its own labels, how long it must be true in seconds, its expression."""

    group: str
    name: str
    labels: tuple[tuple[str, str], ...]
    lasting: float
    expr: str

    @property
    def title(self) -> str:
        """Its group and name, and the labels that tell it from others of that name."""
        extra = " ".join(f"{key}={value}" for key, value in self.labels)
        return f"{self.group}: {self.name}{extra and f' ({extra})'}"


def rendered_rules(texts: Mapping[str, str]) -> list[Rule]:
    """The rules of rendered files, text by name."""
    return [
        _rule(
            group["name"],
            item.get("alert") or item["record"],
            item,
            _milliseconds(item.get("for")),
            item["expr"],
        )
        for text in texts.values()
        for group in loads(text)["groups"]
        for item in group["rules"]
    ]


def loaded_rules(data: Mapping[str, Any]) -> list[Rule]:
    """The rules of an answer of /api/v1/rules."""
    return [
        _rule(group["name"], item["name"], item, 1000 * item.get("duration", 0), item["query"])
        for group in data["groups"]
        for item in group["rules"]
    ]


def _rule(group: str, name: str, item: Mapping[str, Any], milliseconds: float, expr: str) -> Rule:
    labels = tuple(sorted((item.get("labels") or {}).items()))
    return Rule(group, name, labels, round(milliseconds / 1000, 3), expr)


def _milliseconds(duration: str | None) -> float:
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(duration or ""))


def rule_differences(
    rendered: Sequence[Rule], loaded: Sequence[Rule], formatted: Mapping[str, str]
) -> list[str]:
    """Rules that are missing, strange or other than rendered; `formatted` is the one form of expressions."""
    ours, theirs = ({rule.title: rule for rule in rules} for rules in (rendered, loaded))
    wrong = [f"{title}: is not loaded" for title in ours.keys() - theirs]
    wrong += [f"{title}: is loaded, and not rendered" for title in theirs.keys() - ours]
    for title in ours.keys() & theirs:
        one, other = ours[title], theirs[title]
        if formatted[one.expr] != formatted[other.expr]:
            wrong.append(f"{title}: asks {_short(other.expr)}, not {_short(one.expr.strip())}")
        if one.lasting != other.lasting:
            wrong.append(f"{title}: fires after {other.lasting:g} s, not {one.lasting:g} s")
    return sorted(wrong)


def sick(data: Mapping[str, Any]) -> list[str]:
    """Rules of an answer of /api/v1/rules that could not be judged, each with the error."""
    return sorted(
        f"{group['name']}: {item['name']}: {item['health']}: {item.get('lastError', '')}"
        for group in data["groups"]
        for item in group["rules"]
        if item["health"] != "ok" or item.get("lastError")
    )
