"""Every reported fault that became a case has tests with its number in their names."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
CASES = (
    *(1, 2, 4, 5, 7, 8, 10, 11, 13, 14, 16, 17, 19, 20, 22, 23, 25, 26, 28, 29, 31, 32, 34, 35, 37, 38, 40),
    *(41, 43, 45, 47, 49, 51, 53, 55, 57, 59),
)


def test_every_case_has_a_test() -> None:
    named = re.compile(r"^def test_c(\d\d)_", re.MULTILINE)
    found = {int(number) for path in TESTS.rglob("test_*.py") for number in named.findall(path.read_text())}
    assert sorted(found) == list(CASES)
