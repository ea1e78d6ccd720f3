"""verify: the acceptance suite, and its verdict as an exit code."""

from __future__ import annotations

import json
from collections import Counter

from lab.checks.record import Verdict
from lab.commands.session import ROOT, Session, session, shown
from lab.errors import AcceptanceError, InputError
from lab.runs import Run
from lab.verify.repeat import alarms, durations, tables
from lab.verify.run import verify as run_suite


@shown
def verify(inventory: str, provider: str, layer: list[str], select: str, runs: int) -> None:
    """Run the layers, print the verdict. Raises `AcceptanceError` unless it is green, every time."""
    if runs < 1:
        raise InputError(f"--runs {runs}: at least one run", next_step="invoke verify --runs 15")
    with session("verify", inventory, provider) as opened:
        if runs > 1:
            _repeat(opened, layer, select, runs)
            return
        verdict = run_suite(opened.lab, opened.run, opened.console, layer, select, opened.healed)
        report = opened.run.folder / "report.html"
        opened.console.say(f"report: {report}")
        if not verdict.green:
            raise AcceptanceError(
                f"{opened.inventory.lab}: {_wrong(verdict)}",
                next_step=f"open {report}",
            )


def _wrong(verdict: Verdict) -> str:
    """What is wrong, each cause once, with the number of checks that could not look because of it."""
    kept = Counter(record.because for record in verdict.bad)
    lines = []
    for item in verdict.findings:
        number = kept[item.id]
        more = f" ({number} more checks could not look because of it)" if number else ""
        lines.append(f"  {' '.join(item.checks) or '-'} {item.host or 'lab'}: {item.title}{more}")
    return "\n".join([f"{len(verdict.bad)} checks did not pass, {len(lines)} findings", *lines])


def _repeat(opened: Session, layer: list[str], select: str, runs: int) -> None:
    """Run the layers many times, each in a folder of its own; count what is red."""
    verdicts: list[Verdict] = []
    for number in range(1, runs + 1):
        opened.console.say(f"run {number} of {runs}")
        run = Run(ROOT, opened.inventory.lab, "verify")
        try:
            verdicts.append(run_suite(opened.lab, run, opened.console, layer, select, opened.healed))
        finally:
            run.close()
    figures = {"runs": runs, "alarms": alarms(verdicts), "seconds": durations(verdicts)}
    path = opened.run.keep("repeated.json", json.dumps(figures, indent=1))
    for table in tables(verdicts):
        opened.console.show(table)
    red = sum(not verdict.green for verdict in verdicts)
    opened.console.say(f"{runs - red} of {runs} runs green: {path}")
    if red:
        raise AcceptanceError(
            f"{opened.inventory.lab}: {red} of {runs} runs were not green", next_step=f"see {path}"
        )
