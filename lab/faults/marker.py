"""A live fault's note on disk, so that whoever comes after a crash heals what was left broken."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lab.errors import PreflightError
from lab.faults.catalogue import KINDS
from lab.faults.kinds import Fault
from lab.labs import Lab


def path_of(lab: Lab) -> Path:
    """The note's place: shared by all checkouts of this user, because they share the lab."""
    return lab.keys.folder / "fault.json"


def write(lab: Lab, fault: Fault) -> None:
    """Note a fault before it is injected. Raises `PreflightError` when one is live already."""
    path = path_of(lab)
    if path.exists():
        raise PreflightError(
            f"lab {lab.inventory.lab}: {_told(path)}",
            next_step="invoke status (it heals what a crashed run left)",
        )
    note = {
        "fault": fault.kind.name,
        "host": fault.host,
        "seconds": fault.seconds,
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(note))
    part.replace(path)


def remove(lab: Lab) -> None:
    """The fault is healed."""
    path_of(lab).unlink(missing_ok=True)


def heal_left_behind(lab: Lab, say: Callable[[str], None]) -> tuple[str, ...]:
    """Heal the fault that a crashed run left, and say so. Call it while holding the lab's lock.

    Raises `PreflightError` when the note's process still lives: that one heals it itself.
    """
    path = path_of(lab)
    if not path.exists():
        return ()
    note = json.loads(path.read_text())
    if note["born"] == _born(note["pid"]):
        raise PreflightError(
            f"lab {lab.inventory.lab}: {_told(path)}", next_step="wait for that process to end"
        )
    kind = KINDS.get(note["fault"])
    if kind is None:
        raise PreflightError(
            f"lab {lab.inventory.lab}: {_told(path)}, and is not known to this version",
            next_step="invoke destroy, then invoke build",
        )
    fault = Fault(kind, note["host"], note["seconds"])
    said = f"healed {fault.title}, left behind by process {note['pid']} since {note['started']}"
    lab.provider.enter()
    fault.heal(lab)
    remove(lab)
    say(said)
    return (said,)


def _born(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" when there is none. Numbers are used again."""
    try:
        # field 22 of proc(5); the name before it may hold spaces and brackets
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _told(path: Path) -> str:
    note = json.loads(path.read_text())
    return f"fault {note['fault']} of {note['host']} is live since {note['started']} (process {note['pid']})"
