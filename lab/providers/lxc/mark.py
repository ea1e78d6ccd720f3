"""Whose a lab and a machine on this host are: the marks in the lab's folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORMAT = 1
LAB_MARK = "lab.json"
MACHINE_MARK = "machine.json"
CHECKOUT = str(Path(__file__).resolve().parents[3])


@dataclass(frozen=True)
class LabMark:
    """The lab's mark: its name, the checkout that made it and when (UTC, ISO 8601)."""

    lab: str
    checkout: str
    made: str
    format: int = FORMAT


@dataclass(frozen=True)
class MachineMark:
    """The machine's mark, and all that its configuration is made from.

    `layers`: read-only lower folders, top first. `volumes`: path inside the machine of each of its volumes,
    in the order of the folders `volumes/0`, `volumes/1`, ...
    """

    lab: str
    name: str
    mac: str
    layers: tuple[str, ...]
    volumes: tuple[str, ...]
    format: int = FORMAT


def new_lab_mark(lab: str) -> LabMark:
    """A mark for a lab this checkout makes now."""
    return LabMark(lab, CHECKOUT, datetime.now(UTC).isoformat(timespec="seconds"))


def write_mark(folder: Path, mark: LabMark | MachineMark) -> None:
    """Put the mark into a folder at once: complete or not at all."""
    name = LAB_MARK if isinstance(mark, LabMark) else MACHINE_MARK
    half = folder / f".{name}"
    half.write_text(json.dumps(asdict(mark), indent=2) + "\n")
    half.replace(folder / name)


def read_lab_mark(home: Path) -> LabMark | None:
    """The mark of a lab's folder; None when there is none, or none of ours."""
    found = _read(home / LAB_MARK)
    try:
        return LabMark(**found) if found.get("format") == FORMAT else None
    except TypeError:
        return None


def read_machine_mark(folder: Path) -> MachineMark | None:
    """The mark of a machine's folder; None when there is none, or none of ours."""
    found = _read(folder / MACHINE_MARK)
    try:
        mark = MachineMark(**found) if found.get("format") == FORMAT else None
    except TypeError:
        return None
    if mark is None:
        return None
    return MachineMark(mark.lab, mark.name, mark.mac, tuple(mark.layers), tuple(mark.volumes))


def own_machine(folder: Path, lab: str) -> MachineMark | None:
    """The mark of a machine's folder, if it says that the machine is this lab's and has the folder's name."""
    mark = read_machine_mark(folder)
    return mark if mark is not None and (mark.lab, mark.name) == (lab, folder.name) else None


def stranger(home: Path, lab: str) -> str:
    """Why the folder `home` may not be used for `lab` from this checkout; "" when it may.

    A lab whose checkout no longer exists has no other owner: whoever asks may take it over.
    """
    if not home.exists() or {entry.name for entry in home.iterdir()} <= {f".{LAB_MARK}"}:
        return ""
    mark = read_lab_mark(home)
    if mark is None:
        return f"{home} exists and is not the folder of a lab (no {LAB_MARK} of format {FORMAT} in it)"
    if mark.lab != lab:
        return f"{home} is the folder of the lab {mark.lab!r}"
    if mark.checkout != CHECKOUT and Path(mark.checkout).is_dir():
        return f"the lab {lab!r} on this machine was made by {mark.checkout} at {mark.made}"
    return ""


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
