"""What a dashboard is, as data: Grafana's JSON and the questions of the acceptance suite are made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal[
    "none",
    "short",
    "percentunit",
    "s",
    "bytes",
    "Bps",
    "reqps",
    "ops",
    "cps",
    "celsius",
    "dateTimeFromNow",
]
"""Units by their names in Grafana: a share of 1 is `percentunit`, `bytes` count by 1024, `cps` is a number a
second, `dateTimeFromNow` takes milliseconds since 1970."""
Kind = Literal["lines", "stacked", "number", "bars", "states", "table"]
"""How answers are drawn: over time as lines, as areas on each other or as states; or the newest value alone,
as one number, as a bar for each series, or as rows of a table."""
NEWEST: frozenset[Kind] = frozenset({"number", "bars", "table"})
"""Kinds that need one moment, not a range of time."""

_JOB = re.compile(r'\bjob="([^"]+)"')


@dataclass(frozen=True)
class Query:
    """One expression of PromQL; each of its selectors names its job (`metrics.yaml` says which there are).

    `legend` names a series by its labels, as `{{host}}`.
    """

    expr: str
    legend: str = ""

    @property
    def jobs(self) -> frozenset[str]:
        """The jobs whose metrics it needs."""
        return frozenset(_JOB.findall(self.expr))


@dataclass(frozen=True)
class Limits:
    """From where on a value is worth a look, and from where on somebody must act.

    `falling`: low values are the bad ones. The numbers are those of the alerts, where there is one.
    """

    warning: float
    critical: float
    falling: bool = False


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One question; `title` asks it, and `note` says what an answer means, where that needs words.

    `may_be_empty` is the reason why a healthy platform has no answer; without it, none is a fault. `only`
    says what a lab must have besides the jobs of the queries. `width` counts in 24ths of the page.
    """

    title: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = "lines"
    limits: Limits | None = None
    may_be_empty: str = ""
    only: Literal["", "several masters", "raspberry pi"] = ""
    note: str = ""
    width: Literal[4, 6, 8, 12, 24] = 12


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard: values of a label, all of them at first, several at a time.

    `values` is the selector of the series that have the label.
    """

    name: str
    title: str
    label: str
    values: str


@dataclass(frozen=True, kw_only=True)
class Dashboard:
    """One page. `uid` is its name in addresses and files, and stays when the title changes."""

    uid: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    @property
    def panels(self) -> tuple[Panel, ...]:
        """All of its panels, in their order."""
        return tuple(panel for row in self.rows for panel in row.panels)


HOST = Variable("host", "machine", "host", 'up{job="node"}')
"""Machines of the inventory."""
EVERY = ".+"
"""The value of a variable that stands for all: any value, but not none."""
