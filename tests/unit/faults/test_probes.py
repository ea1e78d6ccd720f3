"""Probes: what a gap is, when a service has settled, and a rhythm that slow answers do not disturb."""

from __future__ import annotations

import threading

import pytest

from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused
from lab.faults.probes import Prober, Sampler, failed_share, longest_gap
from lab.report.series import Probe
from lab.waits import NotYet, wait_for
from tests.soon import SOON


def series(text: str) -> list[Probe]:
    """A probe every tenth of a second: `.` good, `x` without an answer."""
    return [Probe(t=number / 10, ok=mark == ".", ms=1) for number, mark in enumerate(text)]


@pytest.mark.parametrize(
    ("text", "gap"),
    [
        ("..........", 0.1),
        ("...xxxxx..", 0.6),
        ("...xx.xxx.", 0.4),
        ("...xxxxxxx", None),
        ("xxxxxxxxxx", None),
    ],
)
def test_a_gap_is_between_good_answers(text: str, gap: float | None) -> None:
    seen = longest_gap(series(text), since=0.25)
    assert seen == (None if gap is None else pytest.approx(gap))


def test_a_gap_before_the_fault_is_not_its_own() -> None:
    assert longest_gap(series(".xxxx....xx.."), since=0.6) == pytest.approx(0.3)


def test_a_share_counts_what_was_asked_in_time() -> None:
    assert failed_share(series("..xx...."), begin=0.0, end=0.4) == 0.5
    with pytest.raises(ValueError, match="no probe"):
        failed_share(series(".."), begin=5, end=6)


def noted(prober: Prober, number: int) -> None:
    if len(prober.probes) < number:
        raise NotYet(f"{len(prober.probes)} answers")


def test_a_slow_answer_delays_no_question() -> None:
    free, asked = threading.Event(), threading.Semaphore(0)

    def ask() -> str:
        asked.release()
        free.wait(SOON)
        return "pod"

    prober = Prober("slow", ask)
    prober.start()
    for _ in range(5):
        assert asked.acquire(timeout=SOON)
    free.set()
    # before it is stopped: what is answered then is noted by threads that nobody waits for without end
    wait_for("five answers that are noted", lambda: noted(prober, 5), seconds=SOON, interval=0.02)
    prober.stop()
    assert {probe.by for probe in prober.as_target().probes} == {"pod"}


@pytest.mark.parametrize("error", [Refused("no"), CouldNotTell("blind")])
def test_no_answer_is_noted_as_none(error: Exception) -> None:
    seen = threading.Event()

    def ask() -> str:
        seen.set()
        raise error

    prober = Prober("dead", ask)
    prober.start()
    assert seen.wait(SOON)
    prober.stop()
    assert not any(probe.ok for probe in prober.probes)


def test_holders_are_noted_when_they_change() -> None:
    answers = iter(["master-1", "master-1", "", "master-2"])
    over = threading.Event()

    def look() -> str:
        try:
            return next(answers)
        except StopIteration:
            over.set()
            raise CouldNotTell("over") from None

    sampler = Sampler("lease", look, every=0.001)
    sampler.start()
    assert over.wait(SOON)
    sampler.stop()
    assert [item.name for item in sampler.holders] == ["master-1", "", "master-2"]
