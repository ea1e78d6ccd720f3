"""The index of the suite is whole and current."""

from __future__ import annotations

from pathlib import Path

from lab.verify import index


def test_every_row_has_a_test_or_a_reason() -> None:
    assert index.gaps() == []


def test_every_test_answers_a_row_and_says_what_it_asserts() -> None:
    answered = {(answer.file, answer.name) for answer in index.answers()}
    for path in index.TESTS.glob("test_*.py"):
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
