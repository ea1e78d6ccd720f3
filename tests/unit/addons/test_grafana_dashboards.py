"""The dashboards as data: each panel is whole, and a lab has those that there can be answers to."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addons.grafana import dashboards
from addons.grafana.dashboards import DASHBOARDS, of_lab
from addons.grafana.dashboards.as_json import CRITICAL, GOOD, WARNING, as_json, steps
from addons.grafana.dashboards.known import jobs
from addons.grafana.dashboards.model import Dashboard, Limits, Panel
from addons.grafana.dashboards.questions import Window, questions
from lab.addons import AddOn
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from tests.promql import parsed, selectors
from tests.unit.addons.test_grafana_queries import metric_of
from tests.unit.addons.test_needs import toy
from tests.world import INVENTORY, inventory

ROOT = Path(__file__).parents[3]
PANELS = [
    pytest.param(page, panel, id=f"{page.title} / {panel.title}")
    for page in DASHBOARDS
    for panel in page.panels
]
ALONE = re.sub(r"  master-[23]: .*\n", "", INVENTORY).replace(
    "metallb:", "kubernetes: {single_master: true}\nmetallb:"
)
PRODUCTION = (ROOT / "inventory" / "production.yaml").read_text()


def test_there_are_nine_and_each_has_a_name_of_its_own() -> None:
    assert (
        len({page.uid for page in DASHBOARDS})
        == len({page.title for page in DASHBOARDS})
        == len(DASHBOARDS)
        == 9
    )
    for page in DASHBOARDS:
        assert len({panel.title for panel in page.panels}) == len(page.panels)


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_a_panel_is_a_question_with_variables_that_are_there(page: Dashboard, panel: Panel) -> None:
    assert panel.title.endswith("?")
    assert panel.kind != "table" or len(panel.queries) == 1
    assert len(panel.queries) <= 26
    named = {name for query in panel.queries for name in re.findall(r"\$(\w+)", query.expr)}
    own = {name for name in named if not name.startswith("__")}
    assert own <= {one.name for one in page.variables}
    if panel.limits:
        ordered = sorted((panel.limits.warning, panel.limits.critical), reverse=panel.limits.falling)
        assert ordered == [panel.limits.warning, panel.limits.critical]


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda one: one.title)
def test_each_variable_is_asked_for(page: Dashboard) -> None:
    text = "".join(query.expr for panel in page.panels for query in panel.queries)
    assert [one.name for one in page.variables if f"${one.name}" not in text] == []


@pytest.mark.parametrize(("_page", "panel"), PANELS)
def test_a_legend_names_labels_that_the_answer_has(_page: Dashboard, panel: Panel) -> None:
    for query in panel.queries:
        by = re.search(r"(?:by|on) \(([^)]*)\)", query.expr)
        known = set(by.group(1).split(", ")) if by else set()
        assert set(re.findall(r"{{(\w+)}}", query.legend)) <= known
        # else Grafana shows the whole query
        assert query.legend or panel.kind == "table"


@pytest.mark.parametrize(("page", "panel"), PANELS)
def test_a_panel_about_what_may_be_absent_says_so(page: Dashboard, panel: Panel) -> None:
    made = Dashboard(uid="x", title="x", about="", rows=page.rows, variables=page.variables)
    for question in questions([made], Window(3600, 60)):
        if question.panel != panel.title or "or vector(0)" in question.expr:
            continue
        metrics = [metric_of(selector)[1] for selector in selectors(parsed(question.expr))]
        absent = [metric.absent for metric in metrics if metric and metric.absent]
        assert not absent or panel.may_be_empty or panel.only


def chosen(monkeypatch: pytest.MonkeyPatch, lab: Inventory, *names: str) -> dict[str, Dashboard]:
    """The dashboards of a lab with these add-ons."""
    found = tuple(_named(name) for name in names)
    monkeypatch.setattr(dashboards, "selected", lambda _: found)
    return {page.uid.removeprefix("plumbline-"): page for page in of_lab(lab)}


def _named(name: str) -> AddOn:
    return toy(folder=f"addons/{name}")


def titles(page: Dashboard) -> set[str]:
    return {panel.title for panel in page.panels}


EVERYTHING = ("traefik", "metallb", "alertmanager", "victorialogs", "loki", "grafana")


def test_what_an_add_on_would_answer_is_left_out_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = inventory()
    whole = chosen(monkeypatch, lab, *EVERYTHING)
    without = chosen(monkeypatch, lab)
    assert whole.keys() == without.keys()
    assert "Ingress" in [row.title for row in whole["network"].rows]
    assert [row.title for row in without["network"].rows] == ["Pods and services", "Names"]
    assert "Logs" not in [row.title for row in without["observability"].rows]
    for page in without.values():
        for panel in page.panels:
            assert panel.queries
            wanted = {jobs()[job].addon for query in panel.queries for job in query.jobs} - {""}
            assert wanted == set()


def test_of_a_panel_the_queries_stay_that_can_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = chosen(monkeypatch, inventory(), "victorialogs")
    (panel,) = [one for one in pages["observability"].panels if one.title == "How many lines come in?"]
    assert [query.jobs for query in panel.queries] == [{"victorialogs"}]
    pages = chosen(monkeypatch, inventory(), "loki")
    (panel,) = [one for one in pages["observability"].panels if one.title == "How many lines come in?"]
    assert [query.jobs for query in panel.queries] == [{"loki"}]


def test_a_single_master_has_no_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    question = "How long is the way between members?"
    assert question in titles(chosen(monkeypatch, inventory())["etcd"])
    assert question not in titles(chosen(monkeypatch, inventory(ALONE))["etcd"])


def test_a_raspberry_pi_is_warm_but_no_container_that_stands_in_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    question = "How warm is each Raspberry Pi?"
    pages = chosen(monkeypatch, parse(PRODUCTION, "production.yaml"))
    assert question in titles(pages["nodes"])
    pages = chosen(monkeypatch, parse(PRODUCTION, "production.yaml", provider="lxc"))
    assert question not in titles(pages["nodes"])


def panels_of(text: str) -> Iterator[dict[str, Any]]:
    yield from json.loads(text)["panels"]


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda one: one.title)
def test_grafana_gets_what_the_data_say_and_nothing_else(page: Dashboard) -> None:
    text = as_json(page, 30)
    made = json.loads(text)
    assert (made["uid"], made["title"], made["refresh"], made["editable"]) == (
        page.uid,
        page.title,
        "30s",
        False,
    )
    assert made["schemaVersion"] == 41
    assert len(text.encode()) < 2**20
    assert text == as_json(page, 30)
    shown = [panel for panel in made["panels"] if panel["type"] != "row"]
    assert [panel["title"] for panel in shown] == [panel.title for panel in page.panels]
    for panel, data in zip(shown, page.panels, strict=True):
        assert [target["expr"] for target in panel["targets"]] == [query.expr for query in data.queries]
        assert [target["refId"] for target in panel["targets"]] == list(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(data.queries)]
        )
        assert {target["datasource"]["uid"] for target in panel["targets"]} == {"prometheus"}
        assert all(target["instant"] is not target["range"] for target in panel["targets"])
        assert panel["fieldConfig"]["defaults"]["unit"] == data.unit
    variables = made["templating"].get("list", [])
    assert [one["name"] for one in variables] == [one.name for one in page.variables]
    assert all(one["allValue"] == ".+" and one["multi"] and one["includeAll"] for one in variables)


@pytest.mark.parametrize("page", DASHBOARDS, ids=lambda one: one.title)
def test_panels_have_numbers_and_places_of_their_own(page: Dashboard) -> None:
    made = list(panels_of(as_json(page, 30)))
    assert max(Counter(panel["id"] for panel in made).values()) == 1
    taken: Counter[tuple[int, int]] = Counter()
    for panel in made:
        place = panel["gridPos"]
        taken.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert max(taken.values()) == 1
    assert max(x for x, _ in taken) == 23


@pytest.mark.parametrize(
    ("limits", "value", "colour"),
    [
        (None, 1e9, GOOD),
        (Limits(1, 5), 0.9, GOOD),
        (Limits(1, 5), 1, WARNING),
        (Limits(1, 5), 5, CRITICAL),
        (Limits(30, 7, falling=True), 31, GOOD),
        (Limits(30, 7, falling=True), 29, WARNING),
        (Limits(30, 7, falling=True), 6, CRITICAL),
        (Limits(1, 1, falling=True), 1, GOOD),
        (Limits(1, 1, falling=True), 0, CRITICAL),
    ],
)
def test_colours_follow_the_limits(limits: Limits | None, value: float, colour: str) -> None:
    # as Grafana chooses: the last step that the value has reached; the first has no value
    reached = [step.color for step in steps(limits) if step.value is None or value >= step.value]
    assert reached[-1] == colour
