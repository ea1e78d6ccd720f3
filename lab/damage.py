"""The journal of damage: what is broken in a lab on purpose right now, and how it is undone.

Faults and seeded defects are noted here before they are applied, so that whoever comes after a crash
(kill -9, a power cut) undoes them. Every command that touches a lab does so first.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from lab.errors import CommandError, FailedError, PlumblineError, PreflightError
from lab.labs import Lab
from lab.local import own_folder
from lab.locks import exclusive
from lab.machines import State
from lab.ssh import forget
from lab.waits import still, wait_for

_NO_NOTE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""There is none, and under such a name there can be none: who writes one is told."""
BACK_SECONDS = 60
"""Time in which a host that was cut off lets us in again."""


def born(pid: int) -> str:
    """When a process was started, in the kernel's ticks; "" when there is none. Numbers are used again."""
    try:
        # field 22 of proc(5); the name before it may hold spaces and brackets
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


@dataclass(frozen=True)
class Damage:
    """One damage that is, or is about to be, in the lab.

    `repair` is the idempotent shell command that undoes it on its host as root; "" for a fault, which its
    kind (the entry's name) knows how to heal. `seconds` is a fault's bound. The process and its birth tell
    whether somebody still works with it.
    """

    name: str
    host: str
    repair: str = ""
    seconds: float = 0.0
    pid: int = field(default_factory=os.getpid)
    born: str = field(default_factory=lambda: born(os.getpid()))
    since: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def title(self) -> str:
        """What is broken."""
        return f"{'seeded defect ' if self.repair else ''}{self.name} of {self.host}"

    @property
    def alive(self) -> bool:
        """Whether the process that noted it still runs, and undoes it itself."""
        return self.born == born(self.pid)

    @property
    def told(self) -> str:
        """The entry for people who ran into it."""
        return f"{self.title} is live since {self.since} (process {self.pid})"


class Journal:
    """The damage of a lab; the file is shared by all checkouts of this user, because they share the lab."""

    def __init__(self, lab: Lab) -> None:
        self._path = lab.keys.folder / "damage.json"
        self._undone = self._path.with_suffix(".undone")

    def entries(self) -> list[Damage]:
        """What is noted, the oldest first; nothing when there is no note.

        Raises `FailedError` for a note that cannot be read: nobody knows what is broken then.
        """
        try:
            return [Damage(**item) for item in json.loads(self._path.read_text())]
        except OSError as error:
            # also when another process has just undone the last of it
            if error.errno in _NO_NOTE:
                return []
            why = f"cannot be read: {error.strerror}"
        except (ValueError, TypeError) as error:
            why = f"does not say what is broken: {error}"
        raise FailedError(
            f"{self._path}: {why}",
            next_step=f"make it readable; if it is lost: rm -r {self._path}, invoke destroy and invoke build",
        )

    def add(self, *entries: Damage) -> None:
        """Note damage before it is applied."""
        with self._alone():
            self._write([*self.entries(), *entries])

    def remove(self, entry: Damage) -> None:
        """It is undone."""
        with self._alone():
            self._write([item for item in self.entries() if item != entry])
            self._undone.touch()

    @property
    def undone_at(self) -> float | None:
        """When damage was undone last, in seconds since 1970; None when there never was any."""
        try:
            return self._undone.stat().st_mtime
        except FileNotFoundError:
            return None

    def clear(self) -> None:
        """The machines are gone, and all damage with them."""
        with self._alone():
            self._write([])
            self._undone.unlink(missing_ok=True)

    def undo(self, heal: Callable[[Damage], None], done: Callable[[Damage], None]) -> list[str]:
        """Undo all that is noted, the newest first; the problems of what could not be undone and stays noted.

        `done` is told each entry as soon as it is undone.
        """
        problems = [self.undo_one(entry, heal, done) for entry in reversed(self.entries())]
        return [problem for problem in problems if problem]

    def undo_one(
        self, entry: Damage, heal: Callable[[Damage], None], done: Callable[[Damage], None] = lambda _: None
    ) -> str:
        """Undo one of what is noted; why it could not be undone and stays noted, "" when it is gone."""
        try:
            heal(entry)
        except PlumblineError as error:
            return f"{entry.title}: {error.message}"
        self.remove(entry)
        done(entry)
        return ""

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process changes the file while the block runs: a fault and its run are two."""
        own_folder(self._path.parent)
        with FileLock(self._path.with_suffix(".lock")):
            yield

    def _write(self, entries: list[Damage]) -> None:
        if not entries:
            self._path.unlink(missing_ok=True)
            return
        part = self._path.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps([asdict(entry) for entry in entries]))
        part.replace(self._path)


def repair(lab: Lab, entry: Damage) -> None:
    """Undo one seeded defect, as soon as its host lets us in.

    Raises `FailedError` when its machine does not run, `DeadlineError` when the repair does not work.
    """
    state = lab.provider.state(entry.host)
    if state is State.ABSENT:
        return  # it went with its machine
    if state is not State.RUNNING:
        raise FailedError(f"the machine is {state.value}", next_step="invoke build")

    def once() -> None:
        try:
            lab.ssh.run(entry.host, entry.repair, seconds=60)
        except CommandError as error:
            raise still(error) from error  # the connection is good, and others may be at work over it
        except FailedError as error:
            forget(lab.ssh, entry.host)
            raise still(error) from error

    wait_for(f"{entry.host}: undoing {entry.name}", once, seconds=BACK_SECONDS, interval=1)


@contextmanager
def undamaged(lab: Lab, command: str) -> Iterator[None]:
    """Hold the lab for a command whose result means nothing while something is broken in it.

    Raises `PreflightError` for damage that is still noted: what could be undone was undone before.
    """
    with exclusive(lab, command):
        left = Journal(lab).entries()
        if left:
            raise PreflightError(
                f"{lab.inventory.lab}: damage that is not undone: {'; '.join(item.told for item in left)}",
                next_step="invoke build (it undoes what it can), or invoke destroy and invoke build",
            )
        yield
