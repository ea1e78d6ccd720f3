"""Trials: percentiles in which silence is longer than any time."""

from __future__ import annotations

import pytest
from invoke.exceptions import Exit

from lab.commands import breaking
from lab.faults.traffic import ADDRESS, API
from lab.faults.trials import Trial, gaps, percentile, summary


@pytest.mark.parametrize(
    ("values", "share", "wanted"),
    [
        ([3.0], 0.5, 3.0),
        ([1.0, 2.0, 3.0, 4.0], 0.5, 2.0),
        ([float(number) for number in range(1, 21)], 0.95, 19.0),
        ([float(number) for number in range(1, 21)], 1.0, 20.0),
        ([1.0, None, 2.0], 0.5, 2.0),
        ([1.0, None, 2.0], 0.95, None),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(
    values: list[float | None], share: float, wanted: float | None
) -> None:
    assert percentile(values, share) == wanted


def test_the_summary_hides_no_silence() -> None:
    done = [
        Trial("worker-1", {API: 1.5, ADDRESS: 5.0}, 0.0, 30.0, 0, 0),
        Trial("worker-2", {API: 1.0, ADDRESS: None}, 0.5, None, 1, 2),
    ]
    found = summary(done)
    assert found["address_silence_seconds"] == {"p50": 5.0, "p95": None, "max": None}
    assert "ingress_silence_seconds" not in found
    assert found["lost_writes"]["max"] == 1.0
    assert [item.seconds for item in gaps("power-off", done)][1] == (5.0, None)


def test_a_fault_that_does_not_exist_is_told_before_any_lab_is_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(breaking, "session", None)  # nothing of a lab is opened
    with pytest.raises(Exit) as left:
        breaking.trials("nope", "rehearsal", "", "announcer", 20)
    assert left.value.code == 2
    assert capsys.readouterr().err == "error: fault nope: no such fault\n  next: invoke faults\n"
