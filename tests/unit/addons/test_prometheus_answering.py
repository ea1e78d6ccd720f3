"""What rules and panels ask is asked whole, and an answer that is none is named."""

from __future__ import annotations

import json

import pytest

from addons.grafana.dashboards.questions import Window
from addons.prometheus.answering import WantedAnswer, series, slow_rules, unanswered, wanted, window_of
from addons.prometheus.asking import PROGRAM, Reply
from addons.prometheus.section_rules import rule_files
from tests.promql import parsed
from tests.world import INVENTORY, inventory

LAB = inventory(INVENTORY + "observability: {}\n")
HOUR = Window(3600, 60)
NOW = 10_000.0


def reply(series: int, last: float = 0, *, seconds: float = 0.1) -> Reply:
    return Reply(200, seconds, json.dumps({"series": series, "last": last, "living": series}))


def test_every_panel_and_every_file_of_rules_is_asked() -> None:
    found = wanted(LAB)
    files = {one.who.removeprefix("rules of ") for one in found if one.who.startswith("rules of ")}
    # of a file whose series another one reads as well the other may be named
    assert files <= rule_files().keys()
    assert {"hosts", "etcd", "pipeline"} <= files
    assert sum(one.who.startswith("panel ") for one in found) > 80
    assert not any("$" in one.expr for one in found)
    for one in found:
        parsed(one.expr)


def test_of_a_rule_the_series_of_its_jobs_are_asked_and_not_what_is_seldom() -> None:
    exprs = [*series(rule_files()["nodes"])]
    assert 'count(up{job="kubelet"})' in exprs
    assert 'count(kube_node_info{job="kube-state-metrics"})' in exprs
    assert "count(plumbline:host:expected{})" in exprs
    assert not any("kubelet_evictions" in expr for expr in exprs)


def test_a_line_is_asked_for_the_hour_that_ends_now_and_a_number_for_now() -> None:
    window = window_of(LAB)
    assert (window.seconds, window.scrape_seconds, window.step) == (3600, 60, 60)
    line = WantedAnswer("panel a", "up", newest=False).question(NOW, window)
    assert line.path == "/api/v1/query_range"
    assert line.fields == {"query": "up", "start": "6400.000", "end": "10000.000", "step": "60"}
    number = WantedAnswer("panel b", "up").question(NOW, window)
    assert (number.path, number.fields) == ("/api/v1/query", {"query": "up", "time": "10000.000"})
    assert line.counted
    assert number.counted


@pytest.mark.parametrize(
    ("one", "said", "told"),
    [
        (WantedAnswer("a", "up"), reply(3), ""),
        (WantedAnswer("a", "up"), reply(0), "no series"),
        (WantedAnswer("a", "up", may_be_empty="nothing happened"), reply(0), ""),
        (WantedAnswer("a", "up"), reply(3, seconds=2.4), "an answer after 2.4 s"),
        (
            WantedAnswer("a", "up", may_be_empty="nothing happened"),
            reply(0, seconds=3),
            "an answer after 3.0 s",
        ),
        (WantedAnswer("a", "up", newest=False), reply(3, NOW), ""),
        (WantedAnswer("a", "up", newest=False), reply(3, NOW - 60), ""),
        (WantedAnswer("a", "up", newest=False), reply(3, NOW - 180), "no series since 180 s"),
        (WantedAnswer("a", "up("), Reply(400, 0.1, '{"error": "parse error"}'), "status 400: parse error"),
        (WantedAnswer("a", "up"), Reply(502, 0.1, "Bad Gateway"), "status 502: Bad Gateway"),
        (WantedAnswer("a", "up"), Reply(0, 20, ""), "no answer in time"),
    ],
)
def test_an_answer_that_is_none_is_named(one: WantedAnswer, said: Reply, told: str) -> None:
    assert unanswered(one, said, NOW, HOUR) == told


def counted(data: object) -> dict[str, float]:
    """What the program on the machine makes of a long answer."""
    text = PROGRAM.partition("asked = json.load")[0]
    scope: dict[str, object] = {}
    exec(text, scope)
    said = {"status": 200, "seconds": 0.1, "body": json.dumps({"data": data})}
    made = scope["counted"](said)  # type: ignore[operator]
    found: dict[str, float] = json.loads(made["body"])
    return found


def test_long_answers_are_counted_where_they_are_given() -> None:
    lines = [{"metric": {}, "values": [[1, "1"], [2, "1"]]}, {"metric": {}, "values": [[1, "1"]]}]
    assert counted({"resultType": "matrix", "result": lines}) == {"series": 2, "last": 2, "living": 1}
    assert counted({"resultType": "matrix", "result": []}) == {"series": 0, "last": 0, "living": 0}
    one = [{"metric": {}, "value": [1, "1"]}]
    assert counted({"resultType": "vector", "result": one}) == {"series": 1, "last": 0, "living": 1}
    assert counted({"resultType": "scalar", "result": [1, "1"]}) == {"series": 1, "last": 0, "living": 1}


def test_a_rule_that_takes_long_is_named() -> None:
    group = {
        "name": "etcd",
        "rules": [{"name": "A", "evaluationTime": 2.5}, {"name": "B", "evaluationTime": 1}],
    }
    assert slow_rules({"groups": [group]}) == ["etcd: A: 2.5 s"]
