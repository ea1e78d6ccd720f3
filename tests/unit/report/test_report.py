"""The three files of a verdict."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab import report
from lab.errors import InputError
from lab.report.html import bars, figures, grouped, lines, page, seconds
from lab.report.junit import junit
from lab.report.schema import schemas
from lab.verify.outcomes import Outcome
from lab.verify.record import Figure, Verdict


class Page(HTMLParser):
    """What a page refers to, holds as ids, and says."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value] if (value := values.get("id")) else []
        self.links += [value for name in ("href", "src") if (value := values.get(name))]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_opens_without_a_network_and_is_whole(red: Verdict) -> None:
    found = Page(page(red))
    assert found.open == []
    assert not [link for link in found.links if "//" in link]
    assert "url(" not in page(red)
    assert len(found.ids) == len(set(found.ids))
    anchors = {link.removeprefix("#") for link in found.links if link.startswith("#")}
    assert anchors
    assert anchors <= set(found.ids)


def test_the_verdict_comes_first_and_failures_say_everything(red: Verdict) -> None:
    said = Page(page(red)).text
    assert said.index("Red") < said.index("What is wrong") < said.index("Checks and hosts")
    for part in (
        "net.ipv4.ip_forward: <0 & 1>",
        "sysctl net.ipv4.ip_forward",
        "worker-2",
        "evidence/test_node.py_y",
    ):
        assert part in said
    assert "1.55 s" in said


def test_one_cause_is_one_card_and_failures_come_first(red: Verdict) -> None:
    cards = grouped(red.bad)
    assert [(len(card), card[0][1].outcome.value) for card in cards] == [(1, "failed"), (4, "could-not-tell")]
    assert page(red).count("<article") == 2
    assert "4 checks for one reason" in page(red)


def test_figures_are_summed_up_over_hosts(red: Verdict) -> None:
    slow = [
        red.records[1].model_copy(
            update={"host": host, "figures": (Figure(name="p99", value=v, unit="ms", limit=5),)}
        )
        for host, v in (("master-1", 2.0), ("master-2", 7.0))
    ]
    (line,) = figures(slow)
    assert (line.lowest, line.highest, line.host, line.number, line.over) == (2.0, 7.0, "master-2", 2, True)
    gap, lost, rate = figures(red.records)
    assert (gap.share, gap.over) == (15.5, False)
    assert (lost.share, lost.over, rate.share) == (None, False, None)


def test_a_green_page_has_nothing_wrong_on_it(red: Verdict) -> None:
    good = tuple(r for r in red.records if r.outcome in (Outcome.PASSED, Outcome.SKIPPED))
    text = page(red.model_copy(update={"records": good, "green": True, "timeline": None}))
    assert "What is wrong" not in text
    assert "is what its inventory says" in text


def test_the_matrix_has_a_column_for_the_lab_and_each_host(red: Verdict) -> None:
    columns = ("", *red.hosts)
    found = {line.rows: line for line in lines(red.records, columns)}
    assert [cell is not None for cell in found["L0-09"].cells] == [True] + [False] * 16
    sysctls = dict(zip(columns, found["L1-08"].cells, strict=True))
    assert sysctls[""] is None
    assert sysctls["worker-2"] is not None and sysctls["worker-2"].sign == "✗"
    assert sysctls["worker-9"] is not None and sysctls["worker-9"].sign == "?"


def test_the_timeline_fits_its_track(red: Verdict) -> None:
    found = bars(red.timeline)
    assert next(iter(found)) == "haproxy"
    assert "lab" in found
    assert all(
        0 <= bar.left <= 100 and bar.left + bar.width <= 101 for items in found.values() for bar in items
    )
    assert bars(None) == {}


def test_junit_counts_what_the_verdict_counts(red: Verdict) -> None:
    suites = {suite.get("name"): suite for suite in ET.fromstring(junit(red)).iter("testsuite")}
    node = suites["node"]
    assert (node.get("failures"), node.get("errors"), node.get("skipped")) == ("1", "4", "16")
    assert len(node.findall("testcase")) == int(node.get("tests", "0"))
    assert {case.get("classname") for case in node.findall("testcase")} == {
        f"node.{host}" for host in red.hosts
    }
    assert suites["cluster"].get("errors") == "1"


def test_junit_takes_what_xml_cannot_hold(red: Verdict) -> None:
    broken = red.records[0].model_copy(update={"outcome": Outcome.FAILED, "message": "a\x00b\x1b[31m"})
    ET.fromstring(junit(red.model_copy(update={"records": (broken,)})))


def test_a_report_is_read_back_as_it_was_written(red: Verdict, tmp_path: Path) -> None:
    report.write(red, tmp_path)
    assert report.read(tmp_path / "report.json") == red
    assert sorted(path.name for path in tmp_path.iterdir()) == ["junit.xml", "report.html", "report.json"]


def test_another_document_is_refused_by_its_field(red: Verdict, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(json.dumps(red.model_dump(mode="json") | {"surprise": 1}))
    with pytest.raises(InputError, match="surprise"):
        report.read(path)
    with pytest.raises(InputError, match="No such file"):
        report.read(tmp_path / "none.json")


@pytest.mark.parametrize("path", schemas(), ids=lambda path: path.name)
def test_a_documented_schema_is_current(path: Path) -> None:
    assert json.loads(path.read_text()) == schemas()[path], "run: python -m lab.report.schema"


@pytest.mark.parametrize(
    ("value", "text"), [(0.012, "12 ms"), (1.234, "1.2 s"), (89.0, "89.0 s"), (132.4, "2 min 12 s")]
)
def test_times_are_for_people(value: float, text: str) -> None:
    assert seconds(value) == text


def test_the_newest_build_is_found(tmp_path: Path) -> None:
    def keep(stamp: str, text: str) -> None:
        folder = tmp_path / f"{stamp}Z"
        folder.mkdir()
        (folder / "timeline.json").write_text(text)

    event = {"phase": "machine", "host": "a", "start": 0, "end": 1, "changed": True}
    for stamp, command in (("1", "build"), ("2", "build"), ("3", "invoke verify")):
        keep(stamp, json.dumps({"command": command, "started": stamp, "events": [event]}))
    keep("4", '{"command": "build", "sta')
    found = report.newest_build(tmp_path)
    assert found is not None
    assert found.started == "2"
    assert report.newest_build(tmp_path / "none") is None


def test_colour_is_never_the_only_difference() -> None:
    style = (Path(__file__).parents[3] / "templates" / "report" / "report.html.j2").read_text()
    assert "prefers-color-scheme: dark" in style
    assert re.search(r"@media \(max-width", style)
