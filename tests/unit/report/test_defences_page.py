"""The page's answer to whether its checks can fail: rows, defects that prove them, rows without one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lab import report
from lab.checks.record import Verdict
from lab.report.defences import DEFENCES, Defence, Defences, defences_in, described, newest_defences
from lab.report.html import page
from tests.unit.report.test_report import NOWHERE, Page

STARTED = datetime(2026, 11, 27, 9, 14, tzinfo=UTC)


def defence(row: str, reason: str = "", **defects: str) -> Defence:
    return Defence(row=row, title=f"title of {row}", tests=("a test",), defects=defects, reason=reason)


ROWS = (
    defence("L1-08", good="caught", shy="caught alone", late=""),
    defence("L1-09", wide="missed", good="caught"),
    defence("L1-12", reason="containers have their host's clock"),
    defence("L1-13"),
)


def kept(folder: Path, *rows: Defence) -> Path:
    folder.mkdir(parents=True)
    (folder / DEFENCES).write_text(described(STARTED, rows))
    return folder


def test_rows_are_proven_excused_or_bare() -> None:
    found = Defences(started="", rows=ROWS)
    assert [row.row for row in found.proven] == ["L1-08", "L1-09"]
    assert [row.row for row in found.excused] == ["L1-12"]
    assert [row.row for row in found.open] == ["L1-13"]
    assert found.defects == {"good", "shy", "late", "wide"}
    assert found.caught == {"good", "shy"}
    assert ROWS[1].missed == ("wide",)


def test_a_defect_that_one_of_its_rows_has_missed_is_not_caught() -> None:
    assert Defences(started="", rows=(defence("A", one="caught"), defence("B", one="missed"))).caught == set()


def test_the_page_of_a_selftest_shows_them(tmp_path: Path) -> None:
    folder = kept(tmp_path / "1Z", *ROWS)
    shown = Page(report.write_run(folder).read_text())
    assert shown.open == []
    for text in (
        "Seeded defects",
        "2 of 4 seeded defects were named",
        "title of L1-13: no defect proves that its test can fail",
        "containers have their host's clock",
        "✗ wide: missed",
        "✓ good",
    ):
        assert text in " ".join(shown.text.split())


def test_the_page_of_a_verify_shows_those_of_the_newest_selftest(tmp_path: Path, red: Verdict) -> None:
    assert "Can these checks fail?" not in page(red, NOWHERE)
    kept(tmp_path / "1Z", ROWS[3])
    kept(tmp_path / "2Z", ROWS[0])
    (tmp_path / "3Z").mkdir()
    text = page(red, tmp_path / "3Z")
    shown = Page(text)
    assert shown.open == []
    assert len(shown.ids) == len(set(shown.ids))
    assert "title of L1-08" in text
    assert "title of L1-13" not in text


def test_what_a_killed_selftest_left_is_passed_over(tmp_path: Path) -> None:
    kept(tmp_path / "1Z", ROWS[0])
    (tmp_path / "2Z").mkdir()
    (tmp_path / "2Z" / DEFENCES).write_text('{"started": "2026')
    found = newest_defences(tmp_path)
    assert found is not None
    assert found.rows == ROWS[:1]
    assert newest_defences(tmp_path / "none") is None
    assert defences_in(tmp_path / "2Z" / DEFENCES) is None
