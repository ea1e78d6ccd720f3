"""A stage without a lab for the selftest: damage, records, and who answers with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from lab.checks.outcomes import Outcome
from lab.checks.record import Record
from lab.console import Console
from lab.selftest import run as runner
from lab.selftest.defect import Breakage, Defect
from lab.selftest.prove import Finding


def breakage(name: str, row: str = "L1-08", host: str = "worker-1", **fields: Any) -> Breakage:
    values = {"title": name, "layer": "node", "says": name, "damage": name, "repair": "", "touches": (name,)}
    return Breakage(name=name, row=row, host=host, **values | fields)


def record(defect: Defect, **fields: Any) -> Record:
    values = {"outcome": defect.outcome, "message": f"expected x; seen: {defect.says}"} | fields
    return Record(
        id=f"test[{defect.name}]", checks=(defect.row,), title="", layer="node", host=defect.host, **values
    )


class Stage:
    """Answers with prepared records; the first answer is that of the healthy lab."""

    lasting = True

    def __init__(self, *answers: Sequence[Record], stuck: str = "") -> None:
        self._answers, self._stuck = list(answers), stuck
        self.done: list[str] = []
        self.asked: list[tuple[str, ...]] = []
        self.explained: list[bool] = []

    def apply(self, defects: Sequence[Defect]) -> dict[str, str]:
        self.done += [defect.name for defect in defects]
        return {one.name: "no such file" for one in defects if one.name == "cannot-be-applied"}

    def undo(self) -> list[str]:
        self.done.append("undo")
        return [self._stuck] if self._stuck else []

    def examine(self, layer: str, rows: Sequence[str], *, evidence: bool = False) -> list[Record]:  # noqa: ARG002
        self.asked.append(tuple(rows))
        self.explained.append(evidence)
        return list(self._answers.pop(0))


def prove(monkeypatch: pytest.MonkeyPatch, stage: Stage, *defects: Defect) -> list[Finding]:
    monkeypatch.setattr(runner, "OnLab", lambda *_: stage)
    monkeypatch.setattr("lab.selftest.prove.GREEN_SECONDS", 0)
    heard: list[Finding] = []
    found = runner.selftest(None, Path(), Console(), defects, heard.append)  # type: ignore[arg-type]
    assert heard == found
    return found


def green(defect: Defect) -> Record:
    return record(defect, outcome=Outcome.PASSED, message="")
