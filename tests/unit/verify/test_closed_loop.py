"""Clients that go on asking: what they record, and what is no result."""

from __future__ import annotations

import itertools
import threading

import pytest

from lab.checks.closed_loop import ClosedLoop, ClosedLoopRequest, closed_loop
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused, becomes
from tests.soon import SOON


def test_every_request_is_recorded_with_its_failure() -> None:
    numbers = itertools.count(1)

    def ask() -> None:
        if next(numbers) == 2:
            raise Refused("status 502")

    with closed_loop(ask, clients=1) as visits:
        becomes("requests", lambda: len(visits.all), lambda n: n >= 3, within=SOON, expected="three")
    assert [visit.problem for visit in visits.all[:3]] == ["", "status 502", ""]
    assert visits.success_percent == pytest.approx(100 * (1 - 1 / len(visits.all)))
    assert visits.problems() == [f"1 x status 502 (first after {visits.all[1].began:.1f} s)"]


def test_failures_are_told_by_kind_with_the_first_of_each() -> None:
    visits = ClosedLoop(
        all=[
            ClosedLoopRequest(0.1, 0.1, ""),
            ClosedLoopRequest(1.0, 2.0, "a"),
            ClosedLoopRequest(2.0, 1.0, "b"),
            ClosedLoopRequest(3.0, 1.0, "a"),
        ]
    )
    assert visits.problems() == ["2 x a (first after 1.0 s)", "1 x b (first after 2.0 s)"]
    assert visits.longest == 0.1
    assert visits.success_percent == 25


def test_no_request_is_no_success() -> None:
    with pytest.raises(CouldNotTell, match="no client has asked"):
        _ = ClosedLoop().success_percent


def test_a_client_that_cannot_ask_is_no_failed_request() -> None:
    asked = threading.Event()

    def ask() -> None:
        asked.set()
        raise CouldNotTell("no route")

    with pytest.raises(CouldNotTell, match="no route"), closed_loop(ask, clients=2):
        assert asked.wait(SOON)


def test_an_error_of_the_block_goes_first() -> None:
    with pytest.raises(ZeroDivisionError), closed_loop(lambda: None):
        _ = 1 / 0
