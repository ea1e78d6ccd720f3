"""`invoke report`: a page from what a run left, and two runs compared, with the exit codes of the design."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from invoke.exceptions import Exit

from lab import report as reports
from lab.checks.outcomes import Outcome
from lab.checks.record import Verdict
from lab.commands import reporting
from lab.report.series import write as keep
from tests.reports import power_off

EARLIER = "20261125T180000.000000Z"
LATER = "20261125T190000.000000Z"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The runs' folder of the rehearsal in a checkout of its own."""
    monkeypatch.setattr(reporting, "ROOT", tmp_path)
    made = tmp_path / ".lab" / "rehearsal" / "runs"
    made.mkdir(parents=True)
    return made


def left(runs: Path, name: str, verdict: Verdict) -> Path:
    (runs / name).mkdir()
    reports.write(verdict, runs / name)
    return runs / name


def mended(verdict: Verdict) -> Verdict:
    records = tuple(
        record.model_copy(update={"outcome": Outcome.PASSED}) if record.outcome is Outcome.FAILED else record
        for record in verdict.records
    )
    return verdict.model_copy(update={"records": records, "started": "2026-11-25T17:00:00+00:00"})


def invoke(run: str = "", against: str = "") -> None:
    reporting.report("rehearsal", "", run, against)


def test_the_newest_run_is_written_anew_from_its_json_alone(
    red: Verdict, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left(runs, EARLIER, red)
    folder = left(runs, LATER, red)
    before = {path.name: path.read_text() for path in folder.iterdir()}
    for name in ("report.html", "junit.xml"):
        (folder / name).unlink()
    invoke()
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
    said = capsys.readouterr().out
    assert "red: 61 passed, 1 failed, 4 could-not-tell, 16 skipped" in said
    assert f"report: {folder / 'report.html'} (" in said


@pytest.mark.parametrize("named", ["name", "folder", "file"])
def test_a_run_is_named_or_pointed_at(red: Verdict, runs: Path, named: str) -> None:
    folder = left(runs, EARLIER, red)
    left(runs, LATER, red)
    (folder / "report.html").unlink()
    invoke({"name": EARLIER, "folder": str(folder), "file": str(folder / "report.json")}[named])
    assert (folder / "report.html").exists()


def test_what_broke_since_another_run_is_told_and_is_exit_code_5(
    red: Verdict, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left(runs, EARLIER, mended(red))
    folder = left(runs, LATER, red)
    with pytest.raises(Exit) as caught:
        invoke(against=EARLIER)
    assert caught.value.code == 5
    said = capsys.readouterr()
    assert "  broken: L1-08 Every sysctl" in said.out
    assert "1 checks were green on 2026-11-25T17:00:00+00:00" in said.err
    text = (folder / "report.html").read_text()
    assert "Compared with the run of 2026-11-25 17:00:00 UTC" in text
    assert "API gap for new connections" in text.partition("Figures, before and after")[2]


def test_what_was_mended_is_no_error(red: Verdict, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    left(runs, EARLIER, red)
    left(runs, LATER, mended(red))
    invoke(against=EARLIER)
    assert "mended: L1-08" in capsys.readouterr().out


def test_runs_of_different_labs_are_not_compared(
    red: Verdict, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left(runs, EARLIER, red.model_copy(update={"lab": "another"}))
    left(runs, LATER, red)
    with pytest.raises(Exit) as caught:
        invoke(against=EARLIER)
    assert caught.value.code == 2
    assert "a run of lab another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the document: Invalid JSON"),
        ("{}", "Field required"),
        ('{"status": "passed", "tests": 3}', "not a report of this version"),
        ("[1, 2", "the document"),
        ("\udcff", "the document"),
    ],
    ids=["empty", "no field", "foreign", "cut", "bytes"],
)
def test_a_foreign_or_broken_document_is_refused(
    runs: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (runs / LATER).mkdir()
    (runs / LATER / "report.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Exit) as caught:
        invoke()
    assert caught.value.code == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in (runs / LATER).iterdir()] == ["report.json"]


def test_a_document_of_another_version_is_refused_by_name(
    red: Verdict, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = left(runs, LATER, red)
    (folder / "report.json").write_text(json.dumps(red.model_dump(mode="json") | {"schema_version": 2}))
    with pytest.raises(Exit) as caught:
        invoke()
    assert caught.value.code == 2
    assert "schema_version" in capsys.readouterr().err


def test_a_name_that_is_no_run_is_answered_with_those_there_are(
    red: Verdict, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Exit) as caught:
        invoke()
    assert caught.value.code == 2
    left(runs, LATER, red)
    with pytest.raises(Exit):
        invoke("yesterday")
    said = capsys.readouterr().err
    assert "no run of verify has left a report" in said
    assert f"the newest with a report: {LATER}" in said


def test_a_run_of_another_command_shows_its_steps_and_pictures(red: Verdict, runs: Path) -> None:
    folder = runs / LATER
    folder.mkdir()
    with pytest.raises(Exit) as caught:
        invoke(LATER)
    assert caught.value.code == 2
    assert red.timeline is not None
    (folder / "timeline.json").write_text(red.timeline.model_dump_json())
    keep(power_off(), folder, "power-off")
    invoke(LATER)
    text = (folder / "report.html").read_text()
    for said in ("<h1>invoke build</h1>", "20 steps", "addon-flannel", "API through the balancer"):
        assert said in text
