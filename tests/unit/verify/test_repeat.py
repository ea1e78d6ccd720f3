"""Many runs of one lab: which checks were red, and how long the layers took."""

from __future__ import annotations

from lab.checks.outcomes import Outcome
from lab.checks.record import LayerResult, Record, Verdict
from lab.verify.repeat import alarms, durations, tables


def verdict(seconds: float, *outcomes: Outcome) -> Verdict:
    records = tuple(
        Record(id=f"test_{number}", checks=("L1-01",), title="", layer="node", outcome=outcome)
        for number, outcome in enumerate(outcomes)
    )
    layers = (
        LayerResult(name="node", title="", state="run", seconds=seconds),
        LayerResult(name="cluster", title="", state="not run", reason="layer node is not green"),
    )
    return Verdict(
        lab="lab",
        provider="lxc",
        started="",
        seconds=seconds,
        green=False,
        hosts={},
        layers=layers,
        records=records,
    )


RUNS = [
    verdict(3, Outcome.PASSED, Outcome.SKIPPED),
    verdict(1, Outcome.FAILED, Outcome.COULD_NOT_TELL),
    verdict(2, Outcome.FAILED, Outcome.PASSED),
]


def test_alarms_are_counted_by_check_the_most_frequent_first() -> None:
    assert alarms(RUNS) == {"L1-01 test_0": 2, "L1-01 test_1": 1}
    assert alarms(RUNS[:1]) == {}


def test_durations_are_those_of_layers_that_ran() -> None:
    assert durations(RUNS) == {"node": (1, 2, 3)}


def test_alarms_are_shown_only_where_there_are_any() -> None:
    assert [table.title for table in tables(RUNS)] == ["3 runs, in seconds", "Alarms"]
    assert len(tables(RUNS[:1])) == 1
