"""selftest: break the lab in many small ways, and see that verify says so each time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from time import monotonic

from rich.markup import escape
from rich.table import Table

from lab.commands.session import session, shown
from lab.console import Console
from lab.damage import undamaged
from lab.errors import AcceptanceError, PreflightError
from lab.selftest import run
from lab.selftest.catalogue import chosen
from lab.selftest.defect import Breakage


@shown
def selftest(inventory: str, provider: str, select: str) -> None:
    """Prove defects on a disposable lab; print the table. Raises `AcceptanceError` unless all are caught."""
    with session("selftest", inventory, provider) as opened:
        if not opened.inventory.disposable:
            raise PreflightError(
                "selftest: refused: inventory field `disposable` is false",
                next_step="set disposable: true in the inventory if this lab may be broken",
            )
        defects = chosen(opened.inventory, select)
        begun, console = monotonic(), opened.console
        alive = any(isinstance(defect, Breakage) for defect in defects)
        with ExitStack() as held:
            if alive:
                held.enter_context(undamaged(opened.lab, "invoke selftest"))
                held.enter_context(opened.lab.inside())
            layers = Counter(defect.layer for defect in defects)
            console.say(", ".join(f"{number} defects of layer {layer}" for layer, number in layers.items()))
            findings = run.selftest(
                opened.lab, opened.run.folder, console, defects, lambda finding: _tell(console, finding)
            )
        rows = [_row(finding) for finding in findings]
        opened.run.keep("selftest.json", json.dumps(rows, indent=1))
        console.show(_table(rows))
        wrong = [finding.defect.name for finding in findings if not finding.good]
        took = monotonic() - begun
        console.say(f"{len(findings) - len(wrong)} of {len(findings)} caught and undone in {took:.0f} s")
        if wrong or not findings:
            raise AcceptanceError(
                f"{opened.inventory.lab}: not caught or not undone: {', '.join(wrong) or 'nothing ran'}",
                next_step=f"see {opened.run.folder}",
            )


def _verdict(finding: run.Finding) -> str:
    if not finding.caught:
        return "missed"
    return "caught" if finding.undone else "not undone"


def _row(finding: run.Finding) -> dict[str, str | float]:
    defect = finding.defect
    return {
        "name": defect.name,
        "layer": defect.layer,
        "title": defect.title,
        "expected": f"{defect.row} {defect.host or 'lab'}",
        "found": "; ".join(finding.found),
        "seconds": finding.seconds,
        "verdict": _verdict(finding),
        "problem": finding.problem,
    }


def _tell(console: Console, finding: run.Finding) -> None:
    colour = "green" if finding.good else "red"
    problem = f": {finding.problem}" if finding.problem else ""
    said = escape(f"{finding.defect.name} by {finding.defect.row}{problem}")
    console.say(f"[{colour}]{_verdict(finding):<10}[/{colour}] {said}", finding.defect.host or "lab")


def _table(rows: Sequence[dict[str, str | float]]) -> Table:
    table = Table("defect", "expected", "red", "seconds", "verdict", title="Seeded defects")
    for row in rows:
        colour = "green" if row["verdict"] == "caught" else "red"
        cells = [str(row[key]) for key in ("name", "expected", "found", "seconds")]
        table.add_row(*map(escape, cells), f"[{colour}]{row['verdict']}[/{colour}]")
    return table
