"""Which defects are in the lab right now, on disk, so that whoever comes after a crash takes them out."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass

from lab.console import Console
from lab.errors import FailedError, PlumblineError
from lab.labs import Lab
from lab.ssh import forget
from lab.waits import still, wait_for

BACK_SECONDS = 60
"""Time in which a host that was cut off lets us in again."""


@dataclass(frozen=True)
class Entry:
    """One defect that is, or is about to be, in the lab."""

    name: str
    host: str
    repair: str


class Journal:
    """The defects of a lab; the file is shared by all checkouts of this user, because they share the lab.

    The lab's lock is held by whoever uses it.
    """

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._path = lab.keys.folder / "defects.json"

    def entries(self) -> list[Entry]:
        """What is noted; nothing when there is no note."""
        if not self._path.exists():
            return []
        return [Entry(**item) for item in json.loads(self._path.read_text())]

    def add(self, entry: Entry) -> None:
        """Note a defect before it is applied."""
        self._write([*self.entries(), entry])

    def undo(self) -> list[str]:
        """Take out every defect that is noted, the newest first; the problems of those that stay noted."""
        problems: list[str] = []
        left: list[Entry] = []
        for entry in reversed(self.entries()):
            try:
                repair(self._lab, entry)
            except PlumblineError as error:
                problems.append(f"{entry.name} on {entry.host}: {error.message}")
                left.insert(0, entry)
        self._write(left)
        return problems

    def _write(self, entries: list[Entry]) -> None:
        if not entries:
            self._path.unlink(missing_ok=True)
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self._path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps([asdict(entry) for entry in entries]))
        part.replace(self._path)


def repair(lab: Lab, entry: Entry) -> None:
    """Undo one defect, as soon as its host lets us in. Raises `DeadlineError` when it does not work."""

    def once() -> None:
        try:
            lab.ssh.run(entry.host, entry.repair, seconds=60)
        except FailedError as error:
            forget(lab.ssh, entry.host)
            raise still(error) from error

    wait_for(f"{entry.host}: undoing {entry.name}", once, seconds=BACK_SECONDS, interval=1)


def take_out_left_behind(lab: Lab, console: Console) -> tuple[str, ...]:
    """Take out the defects that a crashed selftest left, and say so. Call it while holding the lab's lock.

    Raises `FailedError` when one of them cannot be undone: nothing said about such a lab would be worth much.
    """
    journal = Journal(lab)
    found = journal.entries()
    if not found:
        return ()
    lab.provider.enter()
    problems = journal.undo()
    if problems:
        raise FailedError(
            f"{lab.inventory.lab}: seeded defects that cannot be undone: {'; '.join(problems)}",
            next_step="invoke build",
        )
    said = f"took out seeded defects that a selftest left behind: {', '.join(e.name for e in found)}"
    console.say(f"[yellow]{said}[/yellow]")
    return (said,)
