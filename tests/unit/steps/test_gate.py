"""The gate of a rolling change: the next machine is touched when the lab is healthy, and not before."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.checks.verbs import Refused
from lab.steps.context import Context
from lab.steps.engine import Stages, Step, StepsFailedError, Stopped
from lab.steps.gate import HEALTHY_SECONDS, gate, healthy
from tests.fakes import FakeClock

SICK = (
    Mismatch("etcd: leader", expected="one", seen="none"),
    Refused("GET /readyz: connection refused"),
    CouldNotTell("no master has an administrator's kubeconfig"),
)


def sick(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """The lab is found sick so often; then it is healthy."""
    left = list(errors)

    def look(_: Driver) -> None:
        if left:
            raise left.pop(0)

    monkeypatch.setattr(health, "gate", look)


def rolling(context: Context, order: list[str]) -> Stages:
    """A change of two masters, one after the other."""

    def change(name: str) -> Callable[[], tuple[bool, str]]:
        def run() -> tuple[bool, str]:
            order.append(name)
            return True, ""

        return run

    yield [
        Step("change", "master-1", "change", frozenset(), change("master-1"), will=("change it",)),
        gate(context, "master-1", ["change:master-1"]),
        Step("change", "master-2", "change", frozenset({"gate:master-1"}), change("master-2"), will=("too",)),
    ]


def test_the_next_machine_waits_until_the_lab_is_healthy(
    context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    sick(monkeypatch, *SICK)
    assert context.engine.execute(rolling(context, order))
    assert order == ["master-1", "master-2"]
    log = (context.run.folder / "debug.log").read_text()
    assert "gate:master-1: etcd: leader: expected one; seen: none" in log


@pytest.mark.parametrize("error", SICK, ids=lambda error: type(error).__name__)
def test_a_lab_that_does_not_get_healthy_ends_the_change_where_it_is(
    context: Context, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    order: list[str] = []
    sick(monkeypatch, *[error] * 1000)
    with pytest.raises(StepsFailedError) as failed:
        context.engine.execute(rolling(context, order))
    assert order == ["master-1"]
    first, second = failed.value.message.splitlines()
    assert first == f"health of the lab after master-1: not within 300 s; last seen: {error}"
    assert second == "  not done: master-2: change: master-1: the lab is healthy: failed"
    assert failed.value.exit_code == 4


def test_the_gate_before_the_first_machine_has_its_deadline_too(
    context: Context, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    sick(monkeypatch, *[SICK[0]] * 1000)
    begun = clock.now
    with pytest.raises(StepsFailedError, match="health of the lab: not within"):
        context.engine.execute(iter([[gate(context, "", [])]]))
    assert clock.now - begun == pytest.approx(HEALTHY_SECONDS, abs=2)


def test_it_is_left_when_the_operation_is_stopped(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    sick(monkeypatch, *[SICK[0]] * 1000)
    context.engine.stop.set()
    with pytest.raises(Stopped):
        healthy(context)
