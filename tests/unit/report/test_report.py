"""The three files of a verdict."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path

import pytest

from lab import report
from lab.checks.outcomes import Outcome
from lab.checks.record import Figure, Verdict
from lab.errors import InputError
from lab.render.roles import TEMPLATES
from lab.report.html import evidence, figures, grouped, lines, moment, page, plain, seconds
from lab.report.junit import junit
from lab.report.timeline import build_picture

NOWHERE = Path("/nonexistent")
"""A run without evidence and series."""


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
    found = Page(page(red, NOWHERE))
    assert found.open == []
    assert not [link for link in found.links if "//" in link]
    assert "url(" not in page(red, NOWHERE)
    assert len(found.ids) == len(set(found.ids))
    anchors = {link.removeprefix("#") for link in found.links if link.startswith("#")}
    assert anchors
    assert anchors <= set(found.ids)


def test_the_verdict_comes_first_and_failures_say_everything(red: Verdict) -> None:
    said = Page(page(red, NOWHERE)).text
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
    assert page(red, NOWHERE).count("<article") == 2
    assert "4 checks for one reason" in page(red, NOWHERE)


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
    text = page(red.model_copy(update={"records": good, "green": True, "timeline": None}), NOWHERE)
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
    assert red.timeline is not None
    found = build_picture(red.timeline)
    assert next(iter(found.rows)) == "haproxy"
    assert "lab" in found.rows
    assert found.failed == []
    bars = [bar for items in found.rows.values() for bar in items]
    assert all(0 <= bar.left <= 100 and bar.left + bar.width <= 101 for bar in bars)
    assert [tick.text for tick in found.ticks] == ["0 s", "5 s", "10 s", "15 s", "20 s", "25 s"]


def test_a_step_that_failed_is_seen_with_its_reason(red: Verdict) -> None:
    assert red.timeline is not None
    last = red.timeline.events[-1].model_copy(update={"error": "no <answer>", "end": None})
    timeline = red.timeline.model_copy(update={"events": (*red.timeline.events[:-1], last)})
    assert [host for host, _ in build_picture(timeline).failed] == ["lab"]
    assert "no &lt;answer&gt;" in page(red.model_copy(update={"timeline": timeline}), NOWHERE)


def test_c34_junit_counts_what_the_verdict_counts(red: Verdict) -> None:
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


TOKEN = re.compile(r"--([\w-]+): (#[0-9a-f]{3,6})")


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    parts = [int(digits[n : n + 2], 16) / 255 for n in (0, 2, 4)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.2."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_text_can_be_read_and_shapes_be_seen(dark: bool) -> None:
    """WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for shapes."""
    light, night = (TEMPLATES / "report" / "style.css").read_text().split("prefers-color-scheme: dark")
    tokens = dict(TOKEN.findall(light)) | (dict(TOKEN.findall(night)) if dark else {})
    pairs = [("ink", back) for back in ("page", "card", "back")]
    pairs += [("soft", back) for back in ("page", "card")]
    for mood in ("passed", "failed", "could-not-tell", "skipped"):
        pairs += [(mood, f"{mood}-back"), (mood, "card"), ("ink", f"{mood}-back")]
    pairs += [("card", "good"), ("card", "bad")]
    assert not [pair for pair in pairs if contrast(tokens[pair[0]], tokens[pair[1]]) < 4.5]
    bars = {f"c{n}": tokens[f"c{n}"] for n in range(8)}
    assert not {bar for bar, colour in bars.items() if contrast("#ffffff", colour) < 4.5}
    shapes = bars | {name: tokens[name] for name in ("fault", "good", "bad")}
    assert not {shape for shape, colour in shapes.items() if contrast(colour, tokens["card"]) < 3}


def test_moments_are_for_people() -> None:
    assert moment("2026-11-25T20:52:14.311237+01:00") == "2026-11-25 19:52:14 UTC"
    assert moment("") == ""


def test_what_is_small_is_told_with_its_digits() -> None:
    assert [plain(value) for value in (0, 18.3, 3337.52, 0.0012)] == ["0", "18.3", "3337.52", "0.0012"]


def test_files_of_evidence_are_named_those_of_the_check_first(red: Verdict, tmp_path: Path) -> None:
    record = red.bad[0]
    for name in ("worker-2/rendered/etc/a b", "worker-2/journal.txt", "check.txt"):
        path = tmp_path / record.evidence / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert [Path(name).name for name in evidence(tmp_path, record)] == ["check.txt", "journal.txt", "a b"]
    found = Page(page(red, tmp_path))
    assert f"{record.evidence}/worker-2/rendered/etc/a%20b" in found.links
    assert "3 files" in found.text
