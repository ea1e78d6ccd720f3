"""What the panels ask Prometheus, with every variable filled in: Grafana's part of the work, done without it.

A panel that answers here answers in Grafana, as both are made from the same data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from addons.grafana.dashboards.model import EVERY, NEWEST, Dashboard
from lab.errors import FailedError

POINTS = 300
"""Points of a line that are asked for: about what half a page shows."""

_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_SPECIAL = re.compile(r"[\\^$.*+?()\[\]{}|']")


@dataclass(frozen=True)
class Window:
    """The time that is looked at, until now, and the interval of scrapes; seconds."""

    seconds: int
    scrape_seconds: int

    @property
    def step(self) -> int:
        """Seconds between two points (`$__interval`): never less than there are between two scrapes."""
        return max(self.scrape_seconds, -(-self.seconds // POINTS))

    @property
    def rate_seconds(self) -> int:
        """`$__rate_interval`: there are always several scrapes in it (Grafana's documentation, "Prometheus
        template variables")."""
        return max(self.step + self.scrape_seconds, 4 * self.scrape_seconds)

    @property
    def values(self) -> Mapping[str, str]:
        """Grafana's own variables."""
        return {
            "__rate_interval": f"{self.rate_seconds}s",
            "__interval": f"{self.step}s",
            "__range": f"{self.seconds}s",
        }


@dataclass(frozen=True)
class PanelQuestion:
    """One query of one panel as Prometheus takes it.

    `newest`: it is asked for one moment, else for a range of time. `may_be_empty` is the reason why no answer
    is a good one; "" where it is none.
    """

    dashboard: str
    panel: str
    expr: str
    newest: bool
    may_be_empty: str

    @property
    def title(self) -> str:
        """What a message calls it."""
        return f"{self.dashboard} / {self.panel}"


def questions(
    dashboards: Sequence[Dashboard], window: Window, chosen: Mapping[str, Sequence[str]] | None = None
) -> list[PanelQuestion]:
    """Every query of every panel. `chosen` holds the values of variables by name, all where there are none.

    Raises `FailedError` for a variable that the dashboard does not have.
    """
    found = []
    for dashboard in dashboards:
        values = {one.name: (chosen or {}).get(one.name, ()) for one in dashboard.variables}
        for panel in dashboard.panels:
            for query in panel.queries:
                expr = filled(query.expr, values, window, f"{dashboard.title} / {panel.title}")
                newest = panel.kind in NEWEST
                found.append(PanelQuestion(dashboard.title, panel.title, expr, newest, panel.may_be_empty))
    return found


def filled(expr: str, chosen: Mapping[str, Sequence[str]], window: Window, place: str) -> str:
    """An expression with its variables (`$name`, `${name}`) filled in as Grafana does it for Prometheus.

    Several values become an alternative of a regular expression, no value all of them. Raises `FailedError`
    for a variable without a value, and for a dollar that begins none.
    """
    values = {name: _alternative(several) for name, several in chosen.items()} | dict(window.values)

    def value(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name not in values:
            known = ", ".join(f"${one}" for one in sorted(values))
            raise FailedError(f"{place}: ${name}: there is no such variable; there are: {known}")
        return values[name]

    if "$" in _NAME.sub("", expr):
        raise FailedError(f"{place}: {expr}: has a $ that begins no variable")
    return _NAME.sub(value, expr)


def _alternative(values: Sequence[str]) -> str:
    # escaped twice: once for the regular expression, once for the string of PromQL that it stands in
    escaped = [_SPECIAL.sub(r"\\\\\g<0>", value) for value in values]
    return EVERY if not escaped else escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"
