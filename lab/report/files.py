"""Writing the files of a report, and reading the one that holds everything."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lab.checks.record import Verdict
from lab.errors import InputError
from lab.report.defences import DEFENCES, defences_in
from lab.report.html import page, run_page
from lab.report.junit import junit
from lab.report.run_data import timeline
from lab.report.series import FOLDER

VERDICT = "report.json"
PAGE = "report.html"


def write(verdict: Verdict, folder: Path) -> None:
    """Write report.json, junit.xml and report.html into a run's folder, each in one step."""
    _put(folder / VERDICT, verdict.model_dump_json(indent=1))
    rebuild(verdict, folder)


def rebuild(verdict: Verdict, folder: Path, against: Verdict | None = None) -> Path:
    """Write junit.xml and report.html, with what changed since the run `against`; where the page is.

    Raises `InputError` when the two runs are of different labs.
    """
    if against and against.lab != verdict.lab:
        raise InputError(f"--against: a run of lab {against.lab}, not of {verdict.lab}: nothing to compare")
    _put(folder / "junit.xml", junit(verdict))
    return _put(folder / PAGE, page(verdict, folder, against))


def write_run(folder: Path) -> Path:
    """Write report.html for a run that is no verify: its steps, pictures, what it proved; where the page is.

    Raises `InputError` when the run has left nothing of these.
    """
    found = timeline(folder / "timeline.json")
    if found is None and not any((folder / FOLDER).glob("*.json")) and not defences_in(folder / DEFENCES):
        raise InputError(
            f"{folder}: holds no {VERDICT}, no steps of a build, no series and no defects: nothing to report",
            next_step="invoke verify",
        )
    return _put(folder / PAGE, run_page(found, folder))


def read(path: Path) -> Verdict:
    """The verdict in a report.json. Raises `InputError` for anything else."""
    try:
        return Verdict.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", next_step="invoke verify") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise InputError(
            f"{path}: {where}: {first['msg']}: not a report of this version",
            next_step="invoke report with a run of this version, or invoke verify",
        ) from error


def _put(path: Path, text: str) -> Path:
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    return part.replace(path)
