"""report: the page of a run written anew, and two runs compared."""

from __future__ import annotations

import time
from pathlib import Path

from lab import report as reports
from lab.commands.session import ROOT, read, shown
from lab.errors import AcceptanceError, InputError
from lab.report.files import VERDICT


@shown
def report(inventory: str, provider: str, run: str, against: str) -> None:
    """Rebuild the page of a run; with `against` say what changed since that run.

    Raises `AcceptanceError` when a check that was green in the older run is not any more.
    """
    begun = time.monotonic()
    folder = _folder(run, inventory, provider)
    if not against and not (folder / VERDICT).exists():
        print(f"report: {reports.write_run(folder)}")
        return
    verdict = reports.read(folder / VERDICT)
    older = reports.read(_folder(against, inventory, provider) / VERDICT) if against else None
    page = reports.rebuild(verdict, folder, older)
    counts = ", ".join(f"{number} {outcome.value}" for outcome, number in verdict.counts().items() if number)
    print(f"{verdict.lab}, {verdict.started}: {'green' if verdict.green else 'red'}: {counts}")
    found = reports.compare(older, verdict) if older else None
    for line in found.lines() if found else ():
        print(f"  {line}")
    print(f"report: {page} ({time.monotonic() - begun:.1f} s)")
    if found and found.broken:
        raise AcceptanceError(
            f"{verdict.lab}: {len(found.broken)} checks were green on {found.older} and are not any more",
            next_step=f"open {page}",
        )


def _folder(run: str, inventory: str, provider: str) -> Path:
    """The folder of a run: a path of it or of its report.json, a name in the lab's runs, "" for the newest.

    Raises `InputError` with the names there are.
    """
    path = Path(run)
    if run and path.exists():
        return path.parent if path.is_file() else path
    runs = ROOT / ".lab" / read(inventory, provider).lab / "runs"
    if run and (runs / run).is_dir():
        return (runs / run).resolve()
    known = sorted(item.parent for item in runs.glob(f"*Z/{VERDICT}"))
    if not known:
        raise InputError(f"{runs}: no run of verify has left a report", next_step="invoke verify")
    if run:
        newest = ", ".join(item.name for item in reversed(known[-3:]))
        raise InputError(f"{run}: neither a folder nor a run in {runs}; the newest with a report: {newest}")
    return known[-1]
