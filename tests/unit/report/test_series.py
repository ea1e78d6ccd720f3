"""What clients lived through is kept as it was, and read back or complained about."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from lab.report.series import Gaps, Probe, Series, SeriesMark, Target, read, write

STORY = Series(
    title="The etcd leader's machine loses its power",
    marks=(SeriesMark(t=12.5, kind="fault", text="master-1: power off"),),
    targets=(
        Target(name="API", limit=10, probes=(Probe(t=0, ok=True, ms=4.2), Probe(t=0.1, ok=False, ms=1000))),
    ),
    gaps=(Gaps(name="API gap", seconds=(1.2, None, 2.5)),),
)


def test_a_series_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    path = write(STORY, tmp_path, "test_40.py::test_losing[master-1]")
    assert path == tmp_path / "series" / "test_40.py-test_losing-master-1.json"
    assert list(read(tmp_path)) == [STORY]
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_read_costs_no_other(tmp_path: Path) -> None:
    write(STORY, tmp_path, "good")
    (tmp_path / "series" / "a.json").write_text('{"title": 3}')
    (tmp_path / "series" / "b.json").write_text("{")
    (tmp_path / "series" / "c.json").write_text(json.dumps({"title": "x", "colour": "red"}))
    (tmp_path / "series" / "d.json").write_text(json.dumps({"title": "x", "schema_version": 2}))
    *said, good = read(tmp_path)
    assert good == STORY
    assert [str(line).split(": ")[:2] for line in said] == [
        ["series/a.json", "title"],
        ["series/b.json", "the document"],
        ["series/c.json", "colour"],
        ["series/d.json", "schema_version"],
    ]


def test_a_run_without_series_has_none(tmp_path: Path) -> None:
    assert list(read(tmp_path)) == []


def test_no_secret_is_kept(tmp_path: Path) -> None:
    token = "abcdef.0123456789abcdef"
    assert token not in write(Series(title=f"join {token}"), tmp_path, "x").read_text()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0])
def test_only_numbers_that_can_be_drawn_are_taken(value: float) -> None:
    with pytest.raises(ValidationError):
        Probe(t=0, ok=True, ms=value)
