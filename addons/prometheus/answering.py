"""What rules and panels ask, put to the running Prometheus: every question has an answer, and soon."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from addons.grafana.dashboards import of_lab
from addons.grafana.dashboards.questions import Window, questions
from addons.grafana.section import slowest
from addons.prometheus.asking import ApiQuestion, Reply
from addons.prometheus.section_config import expected_of
from addons.prometheus.section_rule_files import of_lab as rules_of_lab
from addons.prometheus.section_rules import RuleFile, metrics
from lab.inventory.models import Inventory

WINDOW_SECONDS = 3600
MOST_SECONDS = 2.0
_JOB = re.compile(r'\bjob\s*(?:=~|!~|!=|=)\s*"[^"]*"')


@dataclass(frozen=True)
class WantedAnswer:
    """One question, who asks it, and why no answer would be a good one ("" where it would not)."""

    who: str
    expr: str
    newest: bool = True
    may_be_empty: str = ""

    def question(self, now: float, window: Window) -> ApiQuestion:
        """As Prometheus takes it: for this moment, or for the window that ends now."""
        if self.newest:
            return ApiQuestion("/api/v1/query", {"query": self.expr, "time": f"{now:.3f}"}, counted=True)
        begin = now - window.step * (window.seconds // window.step)
        fields = {"query": self.expr, "start": f"{begin:.3f}", "end": f"{now:.3f}", "step": f"{window.step}"}
        return ApiQuestion("/api/v1/query_range", fields, counted=True)


def window_of(inventory: Inventory) -> Window:
    """An hour, by the pause of the job that is scraped least often, as Grafana's data source has it."""
    return Window(WINDOW_SECONDS, slowest(inventory))


def wanted(inventory: Inventory) -> list[WantedAnswer]:
    """Every query of every panel of the lab's dashboards, and every series that a rule reads."""
    panels = [
        WantedAnswer(f"panel {one.title}", one.expr, one.newest, one.may_be_empty)
        for one in questions(of_lab(inventory), window_of(inventory))
    ]
    files = rules_of_lab(expected_of(inventory))
    read = {expr: f"rules of {name}" for name, file in files.items() for expr in series(file)}
    return [*panels, *(WantedAnswer(who, expr) for expr, who in sorted(read.items()))]


def series(file: RuleFile) -> Iterator[str]:
    """What a file of rules reads and a healthy lab has: metrics of jobs, as expressions that count them."""
    exprs = [record.expr for record in file.records] + [alert.expression(one) for alert, one in file.rules()]
    for expr in exprs:
        for name in metrics(expr) - file.seldom.keys():
            for found in re.finditer(rf"(?<![\w:]){re.escape(name)}(?![\w:])\s*(\{{[^{{}}]*\}})?", expr):
                yield f"count({name}{{{', '.join(_JOB.findall(found[1] or ''))}}})"


def unanswered(one: WantedAnswer, reply: Reply, now: float, window: Window) -> str:
    """What is wrong with the answer to a question; "" when nothing is."""
    if reply.status != 200:
        return f"status {reply.status}: {_error(reply.body)}" if reply.status else "no answer in time"
    if reply.seconds > MOST_SECONDS:
        return f"an answer after {reply.seconds:.1f} s"
    said = json.loads(reply.body)
    if one.may_be_empty:
        return ""
    if not said["series"]:
        return "no series"
    ended = not one.newest and said["last"] < now - 1.5 * window.step
    return f"no series since {now - said['last']:.0f} s" if ended else ""


def _error(body: str) -> str:
    try:
        return str(json.loads(body)["error"])[:160]
    except (ValueError, KeyError, TypeError):
        return body[:160]


def slow_rules(data: Mapping[str, Any]) -> list[str]:
    """Rules of an answer of /api/v1/rules whose evaluation takes longer than a panel's answer may."""
    return sorted(
        f"{group['name']}: {item['name']}: {item['evaluationTime']:.1f} s"
        for group in data["groups"]
        for item in group["rules"]
        if item["evaluationTime"] > MOST_SECONDS
    )
