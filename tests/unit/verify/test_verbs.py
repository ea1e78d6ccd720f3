"""The language of the acceptance tests."""

from __future__ import annotations

import itertools

import pytest

from lab.checks import verbs
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.checks.verbs import (
    Refused,
    agrees,
    becomes,
    fails,
    nothing,
    present,
    settles,
    staying,
    stays,
    succeeds,
)
from lab.checks.words import shown
from tests.fakes import FakeClock
from tests.soon import SOON


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verbs, "INTERVAL", 0.005)


def test_a_mismatch_says_subject_expected_seen_command_and_host() -> None:
    with pytest.raises(Mismatch, match="mode of x: expected 0600; seen: 0644") as caught:
        agrees("mode of x", "0644", "0600", command="ls -l x", host="master-1")
    assert (caught.value.command, caught.value.host) == ("ls -l x", "master-1")


def test_present_gives_back_what_is_there_and_says_what_is_there_instead() -> None:
    assert present("link", "eth0", expected="a card", seen=[]) == "eth0"
    with pytest.raises(Mismatch, match="link: expected a card; seen: lo"):
        present("link", None, expected="a card", seen=["lo"])


def test_nothing_shows_every_offender() -> None:
    with pytest.raises(Mismatch, match="a: 1, b: 2"):
        nothing("offenders", {"a": 1, "b": 2}, rule="none")


def test_succeeds_tries_again_until_its_deadline() -> None:
    tries = itertools.count(1)

    def action() -> int:
        number = next(tries)
        if number < 3:
            raise Refused(f"try {number}")
        return number

    assert succeeds("it", action, within=SOON) == 3


def test_succeeds_fails_with_the_last_refusal() -> None:
    def action() -> None:
        raise Refused("connection refused")

    with pytest.raises(Mismatch, match=r"success within 0.01 s; seen: connection refused"):
        succeeds("it", action, within=0.01)


def test_fails_wants_the_right_refusal() -> None:
    def action() -> str:
        raise Refused("status 401")

    assert fails("it", action, because="401|403") == "status 401"
    with pytest.raises(Mismatch, match="seen: status 401"):
        fails("it", action, because="refused")
    with pytest.raises(Mismatch, match="seen: success"):
        fails("it", lambda: "fine", because="refused")


def test_becomes_says_deadline_and_last_state() -> None:
    states = itertools.count()
    assert becomes("x", lambda: next(states), lambda s: s == 3, within=SOON, expected="3") == 3
    with pytest.raises(Mismatch, match=r"x: expected 9 within 0.01 s; seen: 7"):
        becomes("x", lambda: 7, lambda s: s == 9, within=0.01, expected="9")


def test_a_look_that_takes_longer_than_the_wait_is_not_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    monkeypatch.setattr(verbs, "time", clock)
    states = iter([1, 2, 3])

    def look() -> int:
        clock.now += 30  # a busy machine
        return next(states)

    assert becomes("x", look, lambda s: s == 2, within=5, expected="2") == 2
    with pytest.raises(Mismatch, match="seen: 3"):
        becomes("x", look, lambda s: s == 4, within=0, expected="4")


def test_settles_tries_again_and_raises_what_it_found_in_the_end() -> None:
    findings = iter([Mismatch("first", expected=1, seen=2), CouldNotTell("blind"), None])

    def check() -> None:
        if found := next(findings):
            raise found

    settles(check, within=SOON)

    def stays_wrong() -> None:
        agrees("members", 2, 3, host="master-1")

    with pytest.raises(Mismatch, match="members: expected 3; seen: 2") as caught:
        settles(stays_wrong, within=0.01)
    assert caught.value.host == "master-1"


def test_becomes_bears_blindness_until_its_deadline() -> None:
    looks = itertools.count()

    def look() -> int:
        if next(looks) < 2:
            raise CouldNotTell("ssh: timed out")
        return 1

    assert becomes("x", look, lambda s: s == 1, within=SOON, expected="1") == 1

    def blind() -> int:
        raise CouldNotTell("ssh: timed out")

    with pytest.raises(CouldNotTell, match="x: ssh: timed out"):
        becomes("x", blind, lambda s: s == 1, within=0.01, expected="1")


def test_stays_fails_at_the_first_deviation() -> None:
    states = itertools.chain([1, 1, 2], itertools.repeat(1))
    with pytest.raises(Mismatch, match="all the time; seen: 2"):
        stays("x", lambda: next(states), lambda s: s == 1, seconds=SOON, expected="1")
    assert stays("x", lambda: 1, lambda s: s == 1, seconds=0.02, expected="1") == 1


def test_staying_watches_while_something_else_happens() -> None:
    state = {"value": 1}
    looks: list[int] = []

    def look() -> int:
        looks.append(state["value"])
        return looks[-1]

    with staying("x", look, lambda s: s == 1, expected="1"):
        becomes("looks", lambda: len(looks), lambda n: n > 2, within=SOON, expected="some")
    with (
        pytest.raises(Mismatch, match="all the time; seen: 2"),
        staying("x", look, lambda s: s == 1, expected="1"),
    ):
        state["value"] = 2
        becomes("looks", lambda: looks[-1], lambda seen: seen == 2, within=SOON, expected="2")


def test_staying_lets_the_blocks_own_error_go_first() -> None:
    with pytest.raises(KeyError), staying("x", lambda: 2, lambda s: s == 1, expected="1"):
        raise KeyError("block")


def test_values_are_shown_in_a_stable_order() -> None:
    assert shown({"b", "a"}) == "a, b"
    assert shown([]) == "nothing"
    assert shown("x" * 3000).endswith("(3000 characters)")
