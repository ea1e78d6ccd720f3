"""bench without a lab: what it measures is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.commands import bench
from lab.commands.bench_inventory import SIZES, fit, inventory_of, seen
from lab.commands.measured import Cost
from lab.hosts.converge import compare
from lab.inventory import load
from lab.inventory.loading import parse
from lab.labs import Lab
from lab.load.ceiling import Ceiling
from lab.load.result import LoadResult
from lab.machines import Traits
from lab.render.bundle import bundle, pins


@pytest.mark.parametrize("hosts", SIZES)
def test_the_inventories_it_makes_are_valid_and_as_large_as_it_says(hosts: int) -> None:
    found = parse(inventory_of(hosts, "bench-1"), "x.yaml")
    assert (len(found.hosts), found.warnings) == (hosts, ())


@pytest.mark.parametrize("name", ["haproxy", "master-1", "worker-1"])
def test_it_plans_a_host_that_is_right_and_one_where_all_is_missing(name: str) -> None:
    found = load("rehearsal")
    wanted = bundle(found, Traits(), pins(found), name)
    assert compare(wanted, seen(wanted, right=True)) == ()
    written = {change.file.path for change in compare(wanted, seen(wanted, right=False)) if change.file}
    assert written == {file.path for file in wanted.files}


def test_the_fit_of_a_straight_line_is_that_line() -> None:
    found = fit([10, 100, 1000], [0.5 + 0.01 * hosts for hosts in (10, 100, 1000)])
    assert found == {
        "cpu_seconds": "0.50 + 0.01000 * hosts",
        "r_squared": 1.0,
        "ms_per_further_host": [10.0, 10.0],
    }


def test_load_is_told_with_its_reasons_and_the_ceilings_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the verdict was void: that is what a machine of few cores has to say."""
    lab = Lab(load("rehearsal"), tmp_path)
    last = lab.folder / "runs" / "last"
    last.mkdir(parents=True)
    ceilings = [Ceiling("locust", 500.0, 50.0), Ceiling("wrk", missing="not installed: apt-get install wrk")]

    def run(*words: str, ends: tuple[int, ...]) -> Cost:
        assert words == ("load", "-i", "rehearsal", "--ceiling")
        assert 5 in ends
        kept = {
            "profile": {"seconds": 60},
            "outcome": "void",
            "reasons": ["the generator used 95 % of a core, limit 90 %"],
            "result": LoadResult(code=0, requests=100, rate=1.6).as_json(),
            "ceiling": [one.as_json() for one in ceilings],
        }
        (last / "load.json").write_text(json.dumps(kept))
        return Cost(91.0, 60.0, 100)

    monkeypatch.setattr(bench, "measured", run)
    found = bench._load(lab, ["-i", "rehearsal"])
    assert (found["seconds"], found["outcome"], found["rate"]) == (91.0, "void", 1.6)
    assert found["reasons"] == ["the generator used 95 % of a core, limit 90 %"]
    locust, wrk = found["ceiling"]
    assert (locust["rate"], locust["rate_per_core"]) == (500.0, 1000)
    assert "apt-get install wrk" in wrk["missing"]
