"""Waits have a subject, a deadline and a last state; errors have an exit code and a next command."""

from __future__ import annotations

import pytest

from lab.errors import (
    AcceptanceError,
    CommandError,
    DeadlineError,
    FailedError,
    InputError,
    PlumblineError,
    PreflightError,
)
from lab.waits import NotYet, still, wait_for
from tests.fakes import FakeClock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    made = FakeClock()
    monkeypatch.setattr("lab.waits.time", made)
    return made


def test_a_wait_gives_back_what_its_probe_found(clock: FakeClock) -> None:
    states = iter(["starting", "loading"])

    def probe() -> int:
        state = next(states, None)
        if state:
            raise NotYet(state)
        return 42

    assert wait_for("the answer", probe, seconds=10) == 42
    assert clock.naps == 2


def test_a_patient_lab_waits_longer_and_says_how_long(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lab.waits._factor", 2.5)
    begun = clock.now

    def probe() -> None:
        raise NotYet("asleep")

    with pytest.raises(DeadlineError) as late:
        wait_for("the sleeper", probe, seconds=10)
    assert late.value.seconds == 25
    assert clock.now - begun == pytest.approx(25, abs=1)


def test_what_is_there_already_is_not_waited_for(clock: FakeClock) -> None:
    assert wait_for("nothing", lambda: "here", seconds=0) == "here"
    assert clock.naps == 0


def test_a_missed_deadline_tells_subject_seconds_last_state_and_next_step(clock: FakeClock) -> None:
    def probe() -> None:
        raise NotYet(f"replica {clock.naps} of 9")

    with pytest.raises(DeadlineError) as missed:
        wait_for("rollout of web", probe, seconds=2, interval=0.5, next_step="invoke logs")
    assert str(missed.value) == (
        "rollout of web: not within 2 s; last seen: replica 4 of 9\n  next: invoke logs"
    )
    assert (missed.value.subject, missed.value.seconds, missed.value.last) == (
        "rollout of web",
        2,
        "replica 4 of 9",
    )
    assert clock.now == 1002.0


def test_a_wait_never_outlasts_its_deadline(clock: FakeClock) -> None:
    def probe() -> None:
        raise NotYet("no")

    with pytest.raises(DeadlineError):
        wait_for("x", probe, seconds=1, interval=0.4)
    assert clock.now <= 1001.0


def test_a_hopeless_state_ends_the_wait_at_once(clock: FakeClock) -> None:
    def probe() -> None:
        raise FailedError("the machine is gone")

    with pytest.raises(FailedError, match="the machine is gone"):
        wait_for("x", probe, seconds=600)
    assert clock.naps == 0


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FailedError("refused\nand more", next_step="try"), "refused"),
        (ValueError("\nno JSON\nline 2"), "no JSON"),
        (ValueError(""), "ValueError"),
        (CommandError("m1", "true", 1, "out"), "m1: `true` ended with exit code 1"),
    ],
)
def test_an_expected_failure_becomes_one_line_of_state(error: Exception, said: str) -> None:
    assert str(still(error)) == said


@pytest.mark.parametrize(
    ("kind", "code"),
    [(FailedError, 1), (InputError, 2), (PreflightError, 3), (AcceptanceError, 5)],
)
def test_each_error_has_the_documented_exit_code(kind: type[PlumblineError], code: int) -> None:
    error = kind("hosts.m1: wrong", next_step="edit it")
    assert error.exit_code == code
    assert str(error) == "hosts.m1: wrong\n  next: edit it"
    assert str(kind("hosts.m1: wrong")) == "hosts.m1: wrong"


def test_a_deadline_is_exit_code_4_and_a_failed_command_is_1() -> None:
    assert DeadlineError("x", 1.5, "nothing").exit_code == 4
    assert CommandError("", "x", 1, "").exit_code == 1
    assert not issubclass(DeadlineError, FailedError)


def test_a_failed_command_shows_host_command_code_and_the_end_of_its_output() -> None:
    output = "\n".join(f"line {number}" for number in range(40))
    error = CommandError("master-1", "kubeadm join", 3, output + "\n\n")
    assert error.message.splitlines()[0] == "master-1: `kubeadm join` ended with exit code 3"
    assert error.message.splitlines()[1:] == [f"    line {number}" for number in range(25, 40)]
    assert CommandError("", "true", 1, "").message.startswith("`true` ended")
