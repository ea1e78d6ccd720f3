"""Pictures of what clients lived through: true to the record, drawable, and small whatever was recorded."""

from __future__ import annotations

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from lab.checks.outcomes import Outcome
from lab.checks.record import Verdict
from lab.report import files
from lab.report.axes import Axis, clock, latency_axis, nice_axis, seconds_ticks, spread
from lab.report.downsample import PIECES, answered, longest_gap, pieces, thinned, trouble
from lab.report.html import anchor, page
from lab.report.pictures import series_picture
from lab.report.series import Gaps, Holder, Load, Probe, Series, SeriesMark, Target, write
from lab.report.trials import histogram, percentile
from tests import reports

STORIES = (reports.power_off(), reports.trials(), reports.under_load())
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def good(t: float, ms: float = 5) -> Probe:
    return Probe(t=t, ok=True, ms=ms)


def bad(t: float, ms: float = 100) -> Probe:
    return Probe(t=t, ok=False, ms=ms)


def test_the_longest_gap_lies_between_two_good_answers() -> None:
    gap = longest_gap([good(0), bad(1), bad(2), good(3, ms=500), good(4)])
    assert (gap.begin, gap.end, gap.open) == (0.005, 3.5, False)


def test_what_never_came_back_says_so() -> None:
    gap = longest_gap([good(0), good(0.1), bad(1), bad(9)])
    assert gap.open
    assert (gap.begin, gap.end) == pytest.approx((0.105, 9.1))
    whole = longest_gap([bad(0), bad(5)])
    assert whole.open
    assert whole.seconds == pytest.approx(5.1)


def test_trouble_is_longer_than_a_gap_when_answers_come_now_and_then() -> None:
    probes = [good(0), bad(1, 1000), good(2), bad(3, 1000), good(4)]
    assert longest_gap(probes).seconds == pytest.approx(2)
    assert trouble(probes) == pytest.approx(3)
    assert trouble([good(0)]) == 0


def test_a_target_that_never_came_back_is_over_its_limit_however_short_the_record() -> None:
    series = Series(title="x", targets=(Target(name="API", limit=10, probes=(good(0), bad(1), bad(2))),))
    (lane,) = series_picture(series).lanes
    assert (lane.over, lane.never) == (True, True)


def test_a_probe_that_hangs_is_an_outage_as_long_as_it_hangs() -> None:
    cut = pieces([good(0), bad(2, ms=3000), good(9.99)], 0, 10, number=10)
    assert [item.failed for item in cut] == [0, 0, 1, 1, 1, 1, 0, 0, 0, 0]
    assert [item.good for item in cut] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 1]


def test_thinning_hides_neither_the_one_failure_nor_the_slowest_answer() -> None:
    probes = [good(n / 1000, ms=900 if n == 27_777 else 5) for n in range(30_000)]
    probes[12_345] = bad(12.345, ms=1)
    cut = pieces(probes, 0, 30)
    assert len(cut) == PIECES
    assert sum(item.failed for item in cut) == 1
    assert max(item.slow for item in cut) == 900
    lane = series_picture(Series(title="x", targets=(Target(name="API", probes=tuple(probes)),))).lanes[0]
    assert (lane.failed, lane.bad.count("M")) == (1, 1)
    assert "V50H" in lane.bad, "one failure among hundreds stands half as tall as a whole outage"
    assert lane.slowest == "900 ms at 27.8 s"
    assert len(lane.ranges) < 30 * PIECES


def test_thinned_load_adds_requests_and_keeps_the_worst_percentiles() -> None:
    load = [
        Load(t=n, seconds=1, requests=10, failures=n == 500, p50=1, p95=2, p99=900 if n == 501 else 3, max=4)
        for n in range(1000)
    ]
    found = thinned(load)
    assert len(found) <= PIECES
    assert (sum(item.requests for item in found), sum(item.failures for item in found)) == (10_000, 1)
    assert max(item.p99 for item in found) == 900
    assert (found[0].t, found[-1].t + found[-1].seconds) == (0, 1000)


@pytest.mark.parametrize("series", STORIES, ids=lambda series: series.title[:12])
def test_every_place_lies_inside_the_picture(series: Series) -> None:
    drawn = series_picture(series)
    paths = [path for lane in drawn.lanes for path in (lane.good, lane.bad, lane.ranges)]
    if drawn.load:
        paths += [curve.path for curve in drawn.load.curves] + [drawn.load.rate, drawn.load.failures]
    for path in filter(None, paths):
        assert re.fullmatch(r"[MLHVZh\d. -]+", path)
        assert all(-0.2 <= float(number) <= 1000 for number in NUMBER.findall(path))
    places = [tick.at for tick in drawn.ticks] + [moment.left for moment in drawn.moments]
    places += [line.left for item in drawn.histograms for line in item.lines]
    assert all(0 <= place <= 100 for place in places)
    for _, spans in drawn.holders:
        assert sum(span.width for span in spans) == pytest.approx(100, abs=0.1)


def test_times_are_counted_from_the_fault() -> None:
    drawn = series_picture(reports.power_off())
    assert [moment.when for moment in drawn.moments] == ["0 s", "1.4 s", "24 s"]
    assert [tick.text for tick in drawn.ticks][:2] == ["-10 s", "0 s"]
    assert [(lane.gap, lane.over) for lane in drawn.lanes][:2] == [("1.61 s", False), ("9.20 s", True)]
    assert len(drawn.faults) == 1


def test_a_fault_that_was_not_healed_lasts_to_the_end() -> None:
    marks = (SeriesMark(t=5, kind="fault", text="x"), SeriesMark(t=6, kind="fault", text="y"))
    drawn = series_picture(
        Series(title="x", marks=marks, targets=(Target(name="a", probes=(good(0), good(10, 0))),))
    )
    assert drawn.faults == ((50.0, 50.0),)


def test_holders_keep_their_colour_and_nobody_is_somebody_of_his_own() -> None:
    leaders, _, managers = series_picture(reports.power_off()).holders
    assert [(span.name, span.colour) for span in leaders[1]] == [("master-1", 0), ("", -1), ("master-2", 1)]
    assert [span.colour for span in managers[1]] == [0, 1]
    assert leaders[1][1].took == "1.3 s"


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 21)]
    assert [percentile(values, share) for share in (0.5, 0.95, 1.0)] == [10, 19, 20]
    assert percentile([3.0], 0.95) == 3.0


def test_a_trial_that_never_came_back_is_the_worst() -> None:
    found = histogram(Gaps(name="gap", seconds=(1.0, None, 2.0), limit=10, limit_of="max"))
    assert (found.trials, found.never, found.over) == (3, 1, True)
    assert [line.text for line in found.lines] == ["2.00 s", "never", "never"]
    assert sum(column.number for column in found.columns) == 2
    nothing = histogram(Gaps(name="gap", seconds=(None, None)))
    assert (nothing.never, nothing.columns) == (2, ())


def test_the_limit_is_judged_on_the_value_it_is_for() -> None:
    api, address = series_picture(reports.trials()).histograms
    assert (api.over, address.over) == (False, True)
    assert sum(column.number for column in api.columns) == 20


def test_load_is_summed_up_from_the_record() -> None:
    load = series_picture(reports.under_load()).load
    assert load is not None
    assert (load.requests, load.failed, load.lowest) == (24_700, 360, 150)
    assert [curve.name for curve in load.curves] == ["p50", "p95", "p99", "max"]
    places = sorted(curve.label_at for curve in load.curves)
    assert all(high - low >= 13.9 for low, high in pairwise(places))


def test_an_interval_without_requests_is_a_hole_not_a_fast_answer() -> None:
    def item(t: float, requests: int) -> Load:
        return Load(
            t=t, seconds=1, requests=requests, failures=0, p50=0 if not requests else 5, p95=5, p99=5, max=5
        )

    load = series_picture(Series(title="x", load=(item(0, 9), item(1, 0), item(2, 9)))).load
    assert load is not None
    assert load.curves[0].path.count("M") == 2
    assert load.lowest == 0


def test_pods_of_a_node_stand_together() -> None:
    shares = series_picture(reports.under_load()).shares
    assert [bar.node for bar in shares] == sorted(bar.node for bar in shares)
    assert max(bar.width for bar in shares) == 100
    assert sum(bar.share for bar in shares) == pytest.approx(100, abs=0.5)


def test_who_answered_is_counted() -> None:
    probes = [Probe(t=n, ok=True, ms=1, by=f"pod-{n % 9}") for n in range(90)]
    assert answered(probes, most=8)[-1] == ("1 others", 10)


def test_the_smallest_series_can_be_drawn() -> None:
    for series in (
        Series(title="x"),
        Series(title="x", marks=(SeriesMark(t=5, kind="note", text="y"),)),
        Series(title="x", targets=(Target(name="a", probes=(bad(3, ms=0),)),)),
        Series(title="x", holders=(Holder(what="leader", t=1, name=""),)),
        Series(title="x", load=(Load(t=0, seconds=1, requests=0, failures=0, p50=0, p95=0, p99=0, max=0),)),
        Series(title="x", gaps=(Gaps(name="g", seconds=(0.0,)),)),
    ):
        assert series_picture(series).title == "x"


def test_axes_have_round_ticks() -> None:
    assert [tick.text for tick in seconds_ticks(Axis(0, 600), zero=100)] == [
        "0 s",
        "2 min",
        "4 min",
        "6 min",
        "8 min",
    ]
    assert [tick.text for tick in nice_axis(520)[1]] == ["0", "200", "400", "600"]
    assert [tick.text for tick in latency_axis([3, 1200])[1]] == ["1 ms", "10 ms", "100 ms", "1 s", "10 s"]
    assert len(seconds_ticks(Axis(0, 10 * 86400))) <= 8
    assert clock(-90) == "-1:30 min"


def test_labels_are_moved_apart_and_stay_inside() -> None:
    assert spread([50, 52, 51], 10) == [50, 70, 60]
    assert spread([99, 98], 10) == [100, 90]


def test_all_stories_are_on_the_page_and_a_broken_one_is_named(red: Verdict, tmp_path: Path) -> None:
    for number, series in enumerate(STORIES):
        write(series, tmp_path, str(number))
    (tmp_path / "series" / "broken.json").write_text("{}")
    text = page(red, tmp_path)
    assert text.count('<section class="story') == 3
    assert "could not be drawn: series/broken.json: title" in text
    assert not re.search(r"\b(nan|inf|None)\b", text.partition("</style>")[2])
    for said in ("1.61 s", "9.20 s", "p95 7.20 s", "24700 requests", "etcd leader", "web-5d9c7b-00003"):
        assert said in text


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.FAILED])
def test_a_story_says_what_its_check_came_to(red: Verdict, tmp_path: Path, outcome: Outcome) -> None:
    last = red.records[-1].model_copy(update={"outcome": outcome})
    write(reports.power_off().model_copy(update={"test": last.id}), tmp_path, "story")
    text = page(red.model_copy(update={"records": (*red.records[:-1], last)}), tmp_path)
    heading = text.partition('<section class="story')[2].partition("</h3>")[0]
    assert f'class="pill {outcome.value}"' in heading
    assert (f'href="#{anchor(last)}"' in heading) is (outcome is Outcome.FAILED)


def test_sixteen_hosts_with_everything_wrong_take_less_than_two_seconds(red: Verdict, tmp_path: Path) -> None:
    """The budget is for a whole run: the three files, 1,600 checks, twenty stories."""
    records = tuple(
        reports.record(
            f"L1-{n:02}", f"Behaviour {n}", "node", host, Outcome.FAILED, message=f"{n} {host}", evidence="e"
        )
        for n in range(100)
        for host in red.hosts
    )
    for number in range(20):
        write(reports.power_off(), tmp_path, str(number))
    begun = time.process_time()
    files.write(red.model_copy(update={"records": records}), tmp_path)
    assert time.process_time() - begun < 2


def test_a_run_of_hours_makes_a_small_page_quickly(red: Verdict, tmp_path: Path) -> None:
    probes = tuple(good(n / 10) for n in range(36_000))
    write(Series(title="an hour", targets=(Target(name="API", probes=probes),)), tmp_path, "hour")
    begun = time.process_time()
    text = page(red, tmp_path)
    assert len(text) < 300_000
    assert time.process_time() - begun < 2
