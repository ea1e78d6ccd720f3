"""Two runs, told apart by the stable names of their checks."""

from __future__ import annotations

from lab.checks.outcomes import Outcome
from lab.checks.record import Figure, Verdict
from lab.report import compare


def changed(verdict: Verdict, number: int, **values: object) -> Verdict:
    records = list(verdict.records)
    records[number] = records[number].model_copy(update=values)
    return verdict.model_copy(update={"records": tuple(records)})


def test_a_run_does_not_differ_from_itself(red: Verdict) -> None:
    found = compare(red, red)
    assert (found.broken, found.mended, found.added, found.gone) == ((), (), (), ())
    assert len(found.still_bad) == 5


def test_what_broke_and_what_was_mended_is_named(red: Verdict) -> None:
    bad = next(n for n, record in enumerate(red.records) if record.outcome is Outcome.FAILED)
    other = changed(changed(red, bad, outcome=Outcome.PASSED), 0, outcome=Outcome.FAILED)
    assert [record.checks for record in compare(red, other).mended] == [("L1-08",)]
    assert [record.checks for record in compare(other, red).broken] == [("L1-08",)]
    first = next(iter(compare(red, other).lines()))
    assert first == "broken: L0-09 No two networks overlap"


def test_checks_come_and_go(red: Verdict) -> None:
    fewer = red.model_copy(update={"records": red.records[1:]})
    assert [record.checks for record in compare(red, fewer).gone] == [("L0-09",)]
    assert [record.checks for record in compare(fewer, red).added] == [("L0-09",)]


def test_figures_are_set_side_by_side(red: Verdict) -> None:
    slower = changed(red, -1, figures=(Figure(name="API gap for new connections", value=3.1, unit="s"),))
    assert compare(red, slower).figures == (("API gap for new connections", 1.55, 3.1, "s"),)
    assert list(compare(red, slower).lines())[-1] == "API gap for new connections: 1.55 -> 3.1 s"
