"""A defect that several checks must name: caught by all of them, kept from others by each."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.console import Console
from lab.inventory import load
from lab.selftest import run as runner
from lab.selftest.batches import Batch, conflict
from lab.selftest.catalogue import chosen
from lab.selftest.defect import Defect, Told
from tests.fakes import FakeClock
from tests.unit.selftest.stage import Stage, breakage, green, prove, record

ALSO = Told("L3-04", "who answers", "")


def also(one: Told, *, says: str = "") -> Record:
    values = {"outcome": Outcome.FAILED, "message": says or f"expected x; seen: {one.says}"}
    return Record(id=f"test of {one.row}", checks=(one.row,), title="", layer="node", host=one.host, **values)


def passed(one: Told) -> Record:
    return also(one).model_copy(update={"outcome": Outcome.PASSED, "message": ""})


WIDE = breakage("wide", also=(ALSO,))


def test_all_its_checks_are_looked_at_before_while_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = [green(WIDE), passed(ALSO)]
    stage = Stage(healthy, [record(WIDE), also(ALSO)], healthy)
    (found,) = prove(monkeypatch, stage, WIDE)
    assert found.verdict == "caught"
    assert found.found == ("L1-08 worker-1", "L3-04 lab")
    assert [set(rows) for rows in stage.asked] == [{"L1-08", "L3-04"}] * 3


@pytest.mark.parametrize(
    ("red", "missing"),
    [
        ([record(WIDE), passed(ALSO)], "L3-04 lab"),
        ([record(WIDE), also(ALSO, says="something else")], "L3-04 lab"),
        ([green(WIDE), also(ALSO)], "L1-08 worker-1"),
    ],
    ids=["one is green", "other words", "the first is green"],
)
def test_one_check_that_does_not_name_it_is_a_miss_and_is_told(
    monkeypatch: pytest.MonkeyPatch, red: list[Record], missing: str
) -> None:
    healthy = [green(WIDE), passed(ALSO)]
    (found,) = prove(monkeypatch, Stage(healthy, red, healthy, red, healthy), WIDE)
    assert found.verdict == "missed"
    assert found.problem == f"not named by {missing}"


def test_each_of_its_checks_keeps_others_from_it() -> None:
    same = breakage("same", row="L3-04", host="", at="worker-2")
    assert conflict(WIDE, same) == conflict(same, WIDE) == "L3-04 tells of one of them only"
    noisy = breakage("noisy", row="L1-01", reddens=("L3-04",))
    assert conflict(WIDE, noisy) == conflict(noisy, WIDE) == "noisy turns L3-04 red as well"
    listed = breakage("listed", row="L3-04", host="", at="worker-2", listed=True)
    wide = breakage("wide", also=(ALSO,), listed=True)
    assert conflict(wide, listed) == ""
    assert Batch("node", (wide, listed)).terms == ("L1-08", "L3-04")


def test_a_row_that_must_name_it_picks_it() -> None:
    names: list[Defect] = list(chosen(load("rehearsal"), "L3-16"))
    assert [one.name for one in names] == ["pool-not-advertised"]
    assert names[0].told[0] == Told("P3-01", names[0].says)


def test_a_record_is_the_checks_if_row_host_outcome_and_words_are() -> None:
    assert ALSO.place == "L3-04 lab"
    assert ALSO.by(also(ALSO), Outcome.FAILED)
    assert not ALSO.by(also(ALSO), Outcome.COULD_NOT_TELL)
    assert not ALSO.by(also(Told("L3-04", "who answers", "worker-1")), Outcome.FAILED)


def test_of_a_row_with_a_long_test_one_may_be_asked_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    short = breakage("short", row="L3-22", host="", at="worker-1", test="test of L3-22")
    mine = short.told[0]
    healthy = [passed(mine)]
    stage = Stage(healthy, [also(mine)], [also(mine)], healthy)
    monkeypatch.setattr("lab.waits.time", FakeClock())
    monkeypatch.setattr(runner, "OnLab", lambda *_: stage)
    (found,) = runner.selftest(None, Path(), Console(), [short], lambda _: None)  # type: ignore[arg-type]
    assert found.verdict == "caught"
    assert stage.asked == [("test of L3-22",)] * 4
