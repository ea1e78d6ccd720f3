"""Writing the three files of a verdict, and reading the one that holds everything."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from lab.errors import InputError
from lab.report.html import page
from lab.report.junit import junit
from lab.verify.record import Verdict


def write(verdict: Verdict, folder: Path) -> None:
    """Write report.json, junit.xml and report.html into a folder, each in one step."""
    texts = {
        "report.json": verdict.model_dump_json(indent=1),
        "junit.xml": junit(verdict),
        "report.html": page(verdict, folder),
    }
    for name, text in texts.items():
        part = folder / f"{name}.part"
        part.write_text(text)
        part.replace(folder / name)


def read(path: Path) -> Verdict:
    """The verdict in a report.json. Raises `InputError` for anything else."""
    try:
        return Verdict.model_validate_json(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", next_step="invoke verify") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the document"
        raise InputError(f"{path}: {where}: {first['msg']}: not a report of this version") from error
