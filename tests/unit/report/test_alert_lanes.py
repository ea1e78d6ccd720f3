"""The platform's own alerts in the report: lanes on the clients' time axis, or a table without one."""

from __future__ import annotations

import re
from pathlib import Path

from lab.checks.alerts import AlertsSeen
from lab.report.alert_lanes import alert_picture
from lab.report.axes import Axis
from lab.report.files import write_run
from lab.report.series import Series, read, write
from tests import reports

SPANS = (
    reports.alert("A", "host=a", "firing", 50, 150),
    reports.alert("A", "host=a", "pending", 20, 50),
    reports.alert("B", "host=b", "pending", 10, 10),
)
HEADING = "What the platform&#39;s own alerts said"


def shown(folder: Path, series: Series) -> str:
    """The page of a run with one story."""
    write(series, folder, "story")
    return write_run(folder).read_text().replace("platform's", "platform&#39;s")


def test_lanes_are_alerts_in_the_order_in_which_they_began() -> None:
    found = alert_picture(AlertsSeen(spans=SPANS), Axis(0, 100), 20)
    assert [(lane.name, lane.of) for lane in found.lanes] == [("B", "host=b"), ("A", "host=a")]
    pending, firing = found.lanes[1].bars
    assert (pending.state, pending.left, pending.width, pending.since, pending.took) == (
        ("pending", 20, 30, "0 s", "30 s")
    )
    assert (firing.state, firing.left, firing.width) == ("firing", 50, 50), "no bar runs out of the picture"
    assert firing.took == "1:40 min"


def test_the_page_has_lanes_and_a_table(tmp_path: Path) -> None:
    page = shown(tmp_path, reports.power_off())
    assert page.count('class="alert pending"') == 2
    assert page.count('class="alert firing"') == 1
    assert page.count("<td>EtcdMemberDown</td>") == 2
    assert "host=master-1, instance=&lt;10.1.1.11:9100&gt;" in page
    (table,) = re.findall(r"<details( open)?><summary>As a table</summary>[^>]*during the fault", page)
    assert table == ""


def test_without_a_time_axis_the_table_is_open(tmp_path: Path) -> None:
    page = shown(tmp_path, Series(title="x", alerts=AlertsSeen(spans=SPANS)))
    assert "<details open><summary>As a table" in page
    assert 'class="alert ' not in page


def test_a_lab_without_alerts_shows_nothing(tmp_path: Path) -> None:
    assert HEADING not in shown(tmp_path, Series(title="x"))


def test_no_alert_and_no_answer_are_told_apart(tmp_path: Path) -> None:
    page = shown(tmp_path, Series(title="x", alerts=AlertsSeen()))
    assert HEADING in page
    assert "no alert was pending or firing from the fault on" in page
    page = shown(tmp_path, Series(title="x", alerts=AlertsSeen(unread="API: 503: no <endpoints>")))
    assert "not known: API: 503: no &lt;endpoints&gt;" in page
    assert "no alert was" not in page


def test_alerts_are_kept_with_the_story(tmp_path: Path) -> None:
    write(reports.power_off(), tmp_path, "story")
    (kept,) = read(tmp_path)
    assert isinstance(kept, Series)
    assert kept.alerts == reports.power_off().alerts
