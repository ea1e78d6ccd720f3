"""bench without a lab: what it measures is what it says."""

from __future__ import annotations

import pytest

from lab.commands.bench_inventory import SIZES, fit, inventory_of, seen
from lab.converge import compare
from lab.inventory import load
from lab.inventory.loading import parse
from lab.providers.base import Traits
from lab.render.bundle import bundle, pins


@pytest.mark.parametrize("hosts", SIZES)
def test_the_inventories_it_makes_are_valid_and_as_large_as_it_says(hosts: int) -> None:
    found = parse(inventory_of(hosts, "bench-1"), "x.yaml")
    assert (len(found.hosts), found.warnings) == (hosts, ())


@pytest.mark.parametrize("name", ["haproxy", "master-1", "worker-1"])
def test_it_plans_a_host_that_is_right_and_one_where_all_is_missing(name: str) -> None:
    found = load("rehearsal")
    wanted = bundle(found, Traits(), pins(), name)
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
