"""A live fault's note on disk, so that whoever comes after a crash heals what was left broken."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from lab.console import Console
from lab.errors import PreflightError
from lab.faults.kinds import Fault, fault_of
from lab.labs import Lab


def path_of(lab: Lab) -> Path:
    """The note's place: shared by all checkouts of this user, because they share the lab."""
    return lab.keys.folder / "fault.json"


def write(lab: Lab, fault: Fault) -> None:
    """Note a fault before it is injected. Raises `PreflightError` when one is live already."""
    path = path_of(lab)
    if path.exists():
        raise PreflightError(
            f"lab {lab.inventory.lab}: {_told(path)}", next_step="invoke verify (it heals it)"
        )
    note = {
        "fault": fault.name,
        "values": fault.values(),
        "pid": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(note))
    part.replace(path)


def remove(lab: Lab) -> None:
    """The fault is healed."""
    path_of(lab).unlink(missing_ok=True)


def heal_left_behind(lab: Lab, console: Console) -> tuple[str, ...]:
    """Heal the fault that a crashed run left, and say so. Call it while holding the lab's lock.

    Nothing to do when the note's process still lives: that one heals it itself.
    """
    path = path_of(lab)
    if not path.exists():
        return ()
    note = json.loads(path.read_text())
    if Path(f"/proc/{note['pid']}").exists():
        raise PreflightError(
            f"lab {lab.inventory.lab}: {_told(path)}", next_step="wait for that process to end"
        )
    fault = fault_of(note["fault"], note["values"])
    said = f"healed {fault.title}, left behind by process {note['pid']} since {note['started']}"
    fault.heal(lab)
    remove(lab)
    console.say(f"[yellow]{said}[/yellow]")
    return (said,)


def _told(path: Path) -> str:
    note = json.loads(path.read_text())
    return f"fault {note['fault']} {note['values']} of process {note['pid']} is live since {note['started']}"
