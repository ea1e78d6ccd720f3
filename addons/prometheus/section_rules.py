"""Alert and recording rules as data: `rules/*.yaml`, one file a part of the platform, and what they must say.

What a rule must know of one lab, it reads from the series that `section_expected.py` records. So these files
are the same for every lab, and what promtool has proven of them is true of each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from string import Template
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from lab.addons.model import Data
from lab.own_yaml import load

FOLDER = Path(__file__).with_name("rules")
PAGE = Path("docs", "alerts.md")
Severity = Literal["critical", "warning", "info", "none"]
"""A person comes now; a person looks today; told beside others alone; for machines."""
Duration = Annotated[str, StringConstraints(pattern=r"^[1-9]\d*[mhd]$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Line = Annotated[str, StringConstraints(pattern=r"^\S[^\n]*\S$")]
SECONDS = {"m": 60, "h": 3600, "d": 86400}


class _Filled(Template):
    """`@name` of an expression is a value of the level; PromQL's own signs are `$`, `{` and `%`."""

    delimiter = "@"


class Level(Data):
    """One severity of an alert: how long its expression must be true, and the values that are its own."""

    severity: Severity
    lasting: Duration | None = Field(None, alias="for")
    values: Mapping[str, str | int | float] = Field(default_factory=dict)
    labels: Mapping[str, str] = Field(default_factory=dict)

    @property
    def seconds(self) -> int:
        """The time in seconds; 0 fires at once."""
        return seconds(self.lasting) if self.lasting else 0


class Runbook(Data):
    """Three lines for who is woken up."""

    means: Line
    look: Line
    act: Line


class Alert(Data):
    """One alert; a summary is a template of Prometheus' and names the object by a label."""

    alert: Annotated[str, StringConstraints(pattern=r"^([A-Z][a-z0-9]+)+$")]
    expr: Text
    levels: tuple[Level, ...] = Field(min_length=1)
    summary: Line
    runbook: Runbook

    @model_validator(mode="after")
    def _has_its_values(self) -> Self:
        for level in self.levels:
            try:
                self.expression(level)
            except KeyError as error:
                raise ValueError(f"@{error.args[0]} of expr: {level.severity} has no such value") from None
        return self

    def expression(self, level: Level) -> str:
        """PromQL of one level."""
        return _Filled(self.expr).substitute(level.values)

    @property
    def place(self) -> str:
        """Where its runbook stands."""
        return f"{PAGE}#{self.alert.lower()}"


class RecordingRule(Data):
    """A series that is recorded, for dashboards or for more than one alert."""

    record: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(:[a-z0-9_]+)+$")]
    expr: Text
    labels: Mapping[str, str] = Field(default_factory=dict)
    about: Line


class RuleFile(Data):
    """One file of `rules/`: a group of rules of Prometheus."""

    title: Line
    about: Line
    jobs: tuple[str, ...] = Field(min_length=1)
    """The jobs that its rules read: a lab that does not scrape all of them does not have this file."""
    seldom: Mapping[str, Line] = Field(default_factory=dict)
    """Metrics that a healthy lab may not have, and why; all others must answer."""
    records: tuple[RecordingRule, ...] = ()
    alerts: tuple[Alert, ...] = ()

    def rules(self) -> Iterator[tuple[Alert, Level]]:
        """Every alert at each of its levels."""
        for alert in self.alerts:
            for level in alert.levels:
                yield alert, level


@cache
def rule_files(folder: Path = FOLDER) -> Mapping[str, RuleFile]:
    """All files by their names. Raises `InputError` with what is wrong in one: file, field, rule."""
    return {path.stem: load(path, RuleFile) for path in sorted(folder.glob("*.yaml"))}


def seconds(duration: str) -> int:
    """A duration of Prometheus', one number and one unit, in seconds."""
    return int(duration[:-1]) * SECONDS[duration[-1]]


_STRINGS = re.compile(r'"(?:\\.|[^"\\])*"')
_LABELS = re.compile(r"\{[^{}]*\}")
_GROUPING = re.compile(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
_WINDOWS = re.compile(r"\[[^\[\]]*\]")
_NAMES = re.compile(r"(?<![\w:.])([a-zA-Z_:][\w:]*)(?!\s*\(|[\w:])")
_WORDS = {"and", "or", "unless", "bool", "offset", "on", "by"}


def metrics(expr: str) -> set[str]:
    """The names of the series that an expression of our own style reads, each followed by its matchers."""
    for gone in (_STRINGS, _LABELS, _GROUPING, _WINDOWS):
        expr = gone.sub(" ", expr)
    return set(_NAMES.findall(expr)) - _WORDS
