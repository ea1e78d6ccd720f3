"""selftest: break the lab in many small ways, and see that verify says so each time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from rich.markup import escape
from rich.table import Table

from lab.commands.session import session, shown
from lab.console import Console
from lab.damage import undamaged
from lab.errors import AcceptanceError, InputError, PreflightError
from lab.report import write_run
from lab.report.defences import DEFENCES, Defence, described
from lab.runs import Run
from lab.selftest.catalogue import catalogue, chosen
from lab.selftest.defect import Breakage
from lab.selftest.defences import defences, gaps
from lab.selftest.drift import drift
from lab.selftest.prove import Finding
from lab.selftest.run import selftest as prove_all
from lab.verify.layers import LAYERS

FINDINGS = "selftest.json"
COLOURS = {"caught": "green", "caught alone": "yellow"}
"""Of verdicts; all others are red."""


@shown
def selftest(inventory: str, provider: str, select: str, random: str, minutes: int) -> None:
    """Prove defects on a disposable lab; print the table. Raises `AcceptanceError` unless all are caught.

    With a seed in `random`, chance picks them for so many minutes.
    """
    if minutes < 1:
        raise InputError(f"--minutes {minutes}: must be at least 1", next_step="invoke selftest --minutes 60")
    with session("selftest", inventory, provider) as opened:
        if not opened.inventory.disposable:
            raise PreflightError(
                "selftest: refused: inventory field `disposable` is false",
                next_step="set disposable: true in the inventory if this lab may be broken",
            )
        defects = chosen(opened.inventory, select)
        begun, started, console = monotonic(), datetime.now(UTC), opened.console
        alive = any(isinstance(defect, Breakage) for defect in defects)
        with ExitStack() as held:
            if alive:
                held.enter_context(undamaged(opened.lab, "invoke selftest"))
                held.enter_context(opened.lab.inside())
            layers = Counter(defect.layer for defect in defects)
            console.say(", ".join(f"{number} defects of layer {layer}" for layer, number in layers.items()))
            heard = Heard(opened.run, console)
            at = (opened.lab, opened.run.folder, console, defects, heard)
            if random:
                console.say(f"the seed is {random}: the same one picks the same defects in the same order")
            with heard.stopping():
                findings = drift(*at, seed=random, minutes=minutes) if random else prove_all(*at)
        verdicts = {finding.defect.name: finding.verdict for finding in findings}
        proofs = defences(opened.inventory, catalogue(opened.inventory), verdicts)
        opened.run.keep(DEFENCES, described(started, proofs))
        console.show(_table([_row(finding) for finding in findings]))
        console.show(_defended(proofs))
        for gap in gaps(proofs):
            console.say(f"[red]{escape(gap)}[/red]")
        console.say(f"report: {write_run(opened.run.folder)}")
        wrong = [finding.defect.name for finding in findings if not finding.good]
        took = monotonic() - begun
        console.say(f"{len(findings) - len(wrong)} of {len(findings)} caught and undone in {took:.0f} s")
        for finding in findings:
            if finding.disturbed_by:
                console.say(
                    f"{finding.defect.name} was named alone, and not beside {', '.join(finding.disturbed_by)}"
                )
        if wrong or not findings:
            raise AcceptanceError(
                f"{opened.inventory.lab}: not caught or not undone: {', '.join(wrong) or 'nothing ran'}"
                f"{f' (seed {random})' if random else ''}",
                next_step=f"see {opened.run.folder}",
            )


class Heard:
    """Tells each finding, and keeps all so far in the run's folder: whoever stops a run loses none."""

    def __init__(self, run: Run, console: Console) -> None:
        self._run, self._console = run, console
        self._rows: list[dict[str, Any]] = []

    def __call__(self, finding: Finding) -> None:
        """A defect was proven."""
        self._rows.append(_row(finding))
        self._run.keep(FINDINGS, json.dumps(self._rows, indent=1))
        _tell(self._console, finding)

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Say after Ctrl-C what there is, and what became of what was broken."""
        try:
            yield
        except KeyboardInterrupt:
            there = f"{len(self._rows)} findings are in {self._run.folder / FINDINGS}"
            undone = "what was broken is undone, or noted and undone by the next command"
            raise KeyboardInterrupt(f"stopped: {there}; {undone}") from None


def _row(finding: Finding) -> dict[str, Any]:
    defect = finding.defect
    return {
        "name": defect.name,
        "layer": defect.layer,
        "title": defect.title,
        "expected": "; ".join(one.place for one in defect.told),
        "found": "; ".join(finding.found),
        "seconds": finding.seconds,
        "wave": dict(finding.phases) | {"defects": finding.sharers},
        "verdict": finding.verdict,
        "disturbed by": list(finding.disturbed_by),
        "problem": finding.problem,
    }


def _tell(console: Console, finding: Finding) -> None:
    colour = COLOURS.get(finding.verdict, "red")
    problem = f": {finding.problem}" if finding.problem else ""
    said = escape(f"{finding.defect.name} by {finding.defect.row}{problem}")
    console.say(f"[{colour}]{finding.verdict:<12}[/{colour}] {said}", finding.defect.host or "lab")


def _table(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table("defect", "expected", "red", "seconds", "verdict", title="Seeded defects")
    for row in rows:
        colour = COLOURS.get(row["verdict"], "red")
        cells = [str(row[key]) for key in ("name", "expected", "found", "seconds")]
        table.add_row(*map(escape, cells), f"[{colour}]{row['verdict']}[/{colour}]")
    return table


def _defended(proofs: Sequence[Defence]) -> Table:
    """Rows with a test, what proves them, and rows without a defect, by the layer in a row's name."""
    heads = ("rows of", "with a test", "proven", "by defects", "with a reason", "without one")
    table = Table(*heads, title="Rows and the defects that prove them")
    layers = dict.fromkeys(proof.row[1] for proof in proofs)
    for name in layers:
        mine = [proof for proof in proofs if proof.row[1] == name]
        seeded = {defect for proof in mine for defect in proof.defects}
        bare = [proof.row for proof in mine if proof.open]
        cells = (
            len(mine),
            sum(bool(proof.defects) for proof in mine),
            len(seeded),
            sum(not proof.defects and bool(proof.reason) for proof in mine),
            ", ".join(bare) or "none",
        )
        table.add_row(
            next(layer.name for layer in LAYERS if layer.number == 10 * int(name)), *map(str, cells)
        )
    return table
