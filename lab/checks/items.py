"""What a test of the acceptance suite says of itself: its name, the catalogue's rows, its figures."""

from __future__ import annotations

import re

import pytest

from lab.checks.record import Figure


def short_id(nodeid: str) -> str:
    """A test's name without the folder."""
    return re.sub(r"^[^:]*/", "", nodeid)


def checks_of(item: pytest.Item) -> tuple[str, ...]:
    """The catalogue's rows a test answers."""
    return tuple(sorted(row for mark in item.iter_markers("check") for row in mark.args))


class Measure:
    """Notes figures of the running test for the report."""

    def __init__(self, figures: list[Figure]) -> None:
        self._figures = figures

    def __call__(self, name: str, value: float, unit: str, limit: float | None = None) -> float:
        """Note a figure; gives back its value."""
        self._figures.append(Figure(name=name, value=round(value, 3), unit=unit, limit=limit))
        return value
