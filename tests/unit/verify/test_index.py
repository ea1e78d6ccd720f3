"""The index of the suite is whole and current."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError
from lab.verify import index
from lab.verify.layers import LAYERS, check_files


def test_every_row_has_a_test_or_a_reason() -> None:
    assert index.gaps() == []


def test_every_test_answers_a_row_and_says_what_it_asserts() -> None:
    answered = {(answer.file, answer.name) for answer in index.answers()}
    for path in check_files("test_*.py"):
        for line in path.read_text().splitlines():
            if line.startswith("def test_"):
                name = line.removeprefix("def ").partition("(")[0]
                assert (path.name, name) in answered, f"{path.name}: {name} has no mark.check"
    assert all(answer.title for answer in index.answers())


def test_a_row_of_a_test_is_read_from_its_marks(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text(
        '@pytest.mark.check("L2-03")\n@pytest.mark.check("L2-01")\n'
        'def test_it() -> None:\n    """It holds."""\n'
    )
    found = [(answer.row, answer.name, answer.title) for answer in index.answers(tmp_path)]
    assert found == [("L2-01", "test_it", "It holds"), ("L2-03", "test_it", "It holds")]


def test_each_file_of_checks_is_of_a_layer_and_no_two_share_a_name() -> None:
    """A record knows its file's name, not the folder."""
    found = [path for layer in LAYERS for path in layer.files]
    assert sorted(found) == sorted(check_files("test_*.py"))
    assert len({path.name for path in found}) == len(found)


def test_rows_stand_by_layer_and_a_row_that_stands_twice_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = list(index.rows())
    assert names.index("L0-14") == names.index("L0-13") + 1
    assert names.index("P3-01") > names.index("L3-24")
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "rows.yaml").write_text("L0-01: {title: again, source: own rule}\n")
    monkeypatch.setattr(index, "ADDONS", tmp_path)
    with pytest.raises(InputError, match=r"toy/rows.yaml: L0-01"):
        index.rows.__wrapped__()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "toy/rows.yaml: Input should be a valid dictionary"),
        ("P9-01: [\n", "toy/rows.yaml: not YAML: "),
        ("P9-01: {title: a}\n", "toy/rows.yaml: P9-01.source: Field required"),
        ("P9-01: {title: a, source: b, colour: red}\n", "toy/rows.yaml: P9-01.colour: Extra inputs"),
        ("toy-1: {title: a, source: b}\n", "toy/rows.yaml: toy-1.[key]: String should match pattern"),
    ],
)
def test_rows_that_cannot_be_are_told_with_file_and_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str
) -> None:
    for name, more in (("toy", text), ("other", "- a\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.yaml").write_text(more)
    monkeypatch.setattr(index, "ADDONS", tmp_path)
    with pytest.raises(InputError) as error:
        index.rows.__wrapped__()
    other, own = error.value.message.splitlines()
    assert other.startswith("other/rows.yaml: Input should be a valid dictionary")
    assert own.startswith(said)


def test_a_file_of_checks_that_python_cannot_read_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "test_x.py").write_text("\ndef test_it(:\n")
    with pytest.raises(InputError, match=r"/test_x\.py:2: cannot be read: invalid syntax"):
        index.answers(tmp_path)
