"""One cause is one finding, in the stream, in the verdict and in the report."""

from __future__ import annotations

from lab.checks.outcomes import SILENT, Outcome
from lab.checks.record import LayerResult, Record, Verdict
from lab.commands.proving import _wrong
from lab.report.html import grouped
from lab.verify.causes import pointed

DOWN = "worker-1: not reachable by SSH: Connection refused"


def blind(name: str, cause: str, row: str = "L1-01") -> Record:
    return Record(
        id=name,
        checks=(row,),
        title=f"Title of {name}",
        layer="node",
        host="worker-1",
        outcome=Outcome.COULD_NOT_TELL,
        message=f"{name}: {cause}",
        command="invoke ssh worker-1",
        cause=cause,
    )


def failed(name: str, row: str) -> Record:
    return Record(
        id=name,
        checks=(row,),
        title=f"Title of {name}",
        layer="cluster",
        outcome=Outcome.FAILED,
        message=f"{name} is not as it should be",
    )


def verdict(records: list[Record]) -> Verdict:
    layer = LayerResult(name="node", title="", state="run")
    return Verdict(
        lab="test",
        provider="lxc",
        started="",
        seconds=1,
        green=False,
        hosts={},
        layers=(layer,),
        records=tuple(records),
    )


def test_the_first_that_could_not_look_tells_why_and_others_point_at_it() -> None:
    found = pointed([blind("a", DOWN), blind("b", DOWN, "L1-02"), blind("c", "permission denied")])
    assert [record.because for record in found] == ["", "a", ""]
    assert found[0].message == f"a: {DOWN}"
    assert found[1].message == f"could not look: {DOWN}; see L1-01 Title of a"
    assert found[1].command == "invoke ssh worker-1"
    assert found[1].outcome is Outcome.COULD_NOT_TELL, "it is as red as before"


def test_a_silent_api_is_told_by_the_check_of_the_api_wherever_it_stands() -> None:
    found = pointed([blind("a", SILENT), failed("ready", "L2-02"), blind("b", SILENT)])
    assert [record.because for record in found] == ["ready", "", "ready"]
    assert found[0].message == f"could not look: {SILENT}; see L2-02 Title of ready"


def test_a_silent_api_without_that_check_is_told_by_the_first() -> None:
    found = pointed([failed("other", "L2-01"), blind("a", SILENT), blind("b", SILENT)])
    assert [record.because for record in found] == ["", "", "a"]


def test_a_failure_points_at_nothing() -> None:
    assert pointed([failed("a", "L2-02"), failed("b", "L2-02")]) == [
        failed("a", "L2-02"),
        failed("b", "L2-02"),
    ]


def test_findings_are_told_once_with_how_many_they_keep_from_looking() -> None:
    found = verdict(pointed([blind("a", DOWN), blind("b", DOWN), blind("c", DOWN), failed("d", "L2-01")]))
    assert [record.id for record in found.findings] == ["a", "d"]
    assert len(found.bad) == 4
    assert _wrong(found).splitlines() == [
        "4 checks did not pass, 2 findings",
        "  L1-01 worker-1: Title of a (2 more checks could not look because of it)",
        "  L2-01 lab: Title of d",
    ]


def test_the_report_has_one_card_for_a_cause() -> None:
    records = pointed(
        [blind("a", SILENT), failed("ready", "L2-02"), blind("b", SILENT), failed("z", "L2-01")]
    )
    cards = [[record.id for _, record in card] for card in grouped(records)]
    assert sorted(cards) == [["ready", "a", "b"], ["z"]]
