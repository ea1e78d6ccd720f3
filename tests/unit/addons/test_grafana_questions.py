"""Variables are filled in as Grafana does it, for one machine and for sixteen, and none is forgotten."""

from __future__ import annotations

import pytest

from addons.grafana.dashboards import DASHBOARDS
from addons.grafana.dashboards.model import HOST, Dashboard, Panel, Query, Row
from addons.grafana.dashboards.questions import PanelQuestion, Window, filled, questions
from lab.errors import FailedError
from tests.promql import parsed, selectors

HOUR = Window(3600, 30)
SIXTEEN = tuple(f"worker-{number}" for number in range(1, 17))


@pytest.mark.parametrize(
    ("window", "step", "rate"),
    [
        (Window(3600, 15), 15, 60),  # four scrapes are more than a step and one
        (HOUR, 30, 120),
        (Window(86400, 30), 288, 318),  # a step is longer than three scrapes
        (Window(3601, 5), 13, 20),  # steps are whole seconds, rounded up
        (Window(60, 300), 300, 1200),
    ],
)
def test_intervals_are_grafanas(window: Window, step: int, rate: int) -> None:
    assert (window.step, window.rate_seconds) == (step, rate)
    assert filled("$__interval $__rate_interval ${__range}", {}, window, "here") == (
        f"{step}s {rate}s {window.seconds}s"
    )


@pytest.mark.parametrize(
    ("chosen", "value"),
    [
        ((), ".+"),
        (("worker-1",), "worker-1"),
        (SIXTEEN, f"({'|'.join(SIXTEEN)})"),
        (("a.b", "c|d"), r"(a\\.b|c\\|d)"),
        (("back\\slash",), r"back\\\slash"),
    ],
)
def test_values_are_an_alternative_that_is_escaped(chosen: tuple[str, ...], value: str) -> None:
    expr = filled('up{host=~"$host"}', {"host": chosen}, HOUR, "here")
    assert expr == f'up{{host=~"{value}"}}'


def test_an_escaped_value_matches_itself_alone() -> None:
    expr = filled('up{host=~"$host"}', {"host": ("a.b", "c")}, HOUR, "here")
    (selector,) = selectors(parsed(expr))
    assert selector.matchers == (("host", "=~", r"(a\.b|c)"),)


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        (
            'up{host=~"$hots"}',
            r"there: \$hots: there is no such variable; there are: \$__interval, \$__range, ",
        ),
        ('up{host=~"${hots}"}', r"there: \$hots: there is no such variable"),
        ('up{host=~"a$"}', r'there: up\{host=~"a\$"\}: has a \$ that begins no variable'),
    ],
)
def test_what_cannot_be_filled_in_is_refused(expr: str, said: str) -> None:
    with pytest.raises(FailedError, match=said):
        filled(expr, {"host": ()}, HOUR, "there")


def test_a_panel_asks_each_of_its_queries() -> None:
    panels = (
        Panel(
            title="A?", unit="none", queries=(Query('up{host=~"$host"}'), Query("rate(up[$__rate_interval])"))
        ),
        Panel(title="B?", unit="none", kind="table", may_be_empty="nobody", queries=(Query("up == 0"),)),
    )
    page = Dashboard(uid="x", title="X", about="", rows=(Row("R", panels),), variables=(HOST,))
    assert questions([page], HOUR) == [
        PanelQuestion("X", "A?", 'up{host=~".+"}', False, ""),
        PanelQuestion("X", "A?", "rate(up[120s])", False, ""),
        PanelQuestion("X", "B?", "up == 0", True, "nobody"),
    ]
    assert questions([page], HOUR, {"host": ["a"]})[0].expr == 'up{host=~"a"}'
    assert questions([page], HOUR)[2].title == "X / B?"


@pytest.mark.parametrize("hosts", [SIXTEEN[:1], SIXTEEN], ids=["one machine", "sixteen machines"])
def test_every_query_of_every_dashboard_is_whole(hosts: tuple[str, ...]) -> None:
    asked = questions(DASHBOARDS, HOUR, {"host": hosts, "namespace": ("monitoring",)})
    assert [one.title for one in asked if "$" in one.expr] == []
    for one in asked:
        parsed(one.expr)
    assert len(asked) == sum(len(panel.queries) for page in DASHBOARDS for panel in page.panels)
