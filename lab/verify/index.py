"""Which test answers which row of the catalogue: the source of `docs/verify-index.md`.

Tests are read as text, not imported, so that the index needs neither a lab nor an inventory.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.own_yaml import read

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests" / "acceptance"
INDEX = ROOT / "docs" / "verify-index.md"
ROWS = Path(__file__).with_name("rows.yaml")


class Row(BaseModel):
    """A row of the catalogue; `reason` is why there is no test of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    source: str
    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """A test that answers a row."""

    row: str
    file: str
    name: str
    title: str


@cache
def rows() -> dict[str, Row]:
    """The rows this suite speaks about, in order."""
    data = read(ROWS.read_text())
    return {name: Row.model_validate(item) for name, item in data.items()}


def answers(folder: Path = TESTS) -> list[Answer]:
    """Every test with the rows it answers, in the order of files and lines."""
    return [answer for path in sorted(folder.glob("test_*.py")) for answer in _of_file(path)]


def _of_file(path: Path) -> Iterator[Answer]:
    for item in ast.parse(path.read_text()).body:
        if isinstance(item, ast.FunctionDef) and item.name.startswith("test_"):
            title = (ast.get_docstring(item) or "").partition("\n")[0].rstrip(".")
            for row in _rows_of(item):
                yield Answer(row, path.name, item.name, title)


def _rows_of(function: ast.FunctionDef) -> list[str]:
    found = []
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.check":
            found += [ast.literal_eval(argument) for argument in decorator.args]
    return sorted(found)


def gaps() -> list[str]:
    """What is wrong with the index: rows without test or reason, rows with both, tests of unknown rows."""
    answered = {answer.row for answer in answers()}
    found = [
        f"{name}: neither a test nor a reason"
        for name, row in rows().items()
        if not row.reason and name not in answered
    ]
    found += [
        f"{name}: a test, and a reason for having none"
        for name, row in rows().items()
        if row.reason and name in answered
    ]
    found += [
        f"{answer.file}: {answer.name}: unknown row {answer.row}"
        for answer in answers()
        if answer.row not in rows()
    ]
    return found


def index() -> str:
    """The index as a page."""
    tests: dict[str, list[Answer]] = {}
    for answer in answers():
        tests.setdefault(answer.row, []).append(answer)
    lines = [
        "# Which test answers which row",
        "",
        "Generated from the tests and `lab/verify/rows.yaml` by `invoke docs`; do not edit.",
        "",
        "| row | asserts | test | rule from |",
        "|---|---|---|---|",
    ]
    for name, row in rows().items():
        found = "<br>".join(f"`{a.file}`: {a.title}" for a in tests.get(name, []))
        lines.append(f"| {name} | {row.title} | {found or f'none: {row.reason}'} | {row.source} |")
    return "\n".join(lines) + "\n"
