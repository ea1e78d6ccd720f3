"""The folder of fixtures is the test table.

Each file has one defect. Comments at its top say what must be told: `# expect: PATH | WORDS` for a refusal,
`# warn: PATH | WORDS` for a warning; `# here` marks the lines that may be named.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import InputError
from lab.inventory import document, files, load
from lab.inventory.problems import dotted
from tests.unit.inventory.table import INVALID, VALID, expected, told


def test_the_table_is_large_enough() -> None:
    assert len(INVALID) >= 60
    assert len(VALID) >= 15


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_defect_is_refused_by_path_line_and_rule(path: Path) -> None:
    wanted = expected(path, "expect")
    assert wanted, "the fixture does not say what must be told"
    with pytest.raises(InputError) as refused:
        load(str(path))
    message = refused.value.message
    lines = told(message)
    assert len(lines) == len(wanted), f"one line for each defect, and nothing else:\n{message}"
    for where, words in wanted:
        assert any(line.is_about(where, words) for line in lines), (
            f"nothing tells {where} | {words}:\n{message}"
        )
    marked = [
        number for number, text in enumerate(files.read_text(path).splitlines(), 1) if text.endswith("# here")
    ]
    assert marked, "the fixture does not mark its line"
    assert sorted(line.line for line in lines) == marked or {line.line for line in lines} <= set(marked), (
        message
    )
    assert all("; " in line.rest for line in lines), f"a line without a fix:\n{message}"


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_a_named_path_exists_in_the_file(path: Path) -> None:
    try:
        read = document.read(files.read_text(path))
    except document.Unreadable:
        return  # what is not YAML has no paths
    places = {dotted(place) for place in read.marks}
    for where, _ in expected(path, "expect"):
        assert where in places


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_file_is_taken_and_its_warnings_told(path: Path) -> None:
    wanted = expected(path, "warn")
    warnings = load(str(path)).warnings
    assert len(warnings) == len(wanted), warnings
    for where, words in wanted:
        assert any(f": {where}: " in warning and words in warning for warning in warnings), warnings
