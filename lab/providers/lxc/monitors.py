"""LXC's own processes for a lab: one monitor a machine, and commands that a killed build left."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from lab.errors import DeadlineError
from lab.waits import NotYet, wait_for

_TITLE = "[lxc monitor]"
_INTERVAL = 0.02


def monitors(machines: Path, proc: Path = Path("/proc")) -> dict[int, str]:
    """Processes of LXC that work on the folder `machines`: pid -> name of the machine.

    A monitor that could rename itself is `[lxc monitor] FOLDER NAME`, else it still shows the command line of
    the lxc-start it was: `lxc-start -P FOLDER -n NAME ...`, as do LXC's other commands.
    """
    found: dict[int, str] = {}
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            argv = (entry / "cmdline").read_text(errors="replace").rstrip("\0").split("\0")
        except OSError:  # ended meanwhile
            continue
        if argv[0].startswith(f"{_TITLE} {machines} "):
            found[int(entry.name)] = argv[0].rsplit(" ", 1)[1]
        elif argv[0].startswith("lxc-") and argv[1:3] == ["-P", str(machines)] and argv[3:4] == ["-n"]:
            found[int(entry.name)] = argv[4]
    return found


def end_monitors(machines: Path, name: str, *, patience: float) -> bool:
    """Wait `patience` seconds for the machine's LXC processes to end, then kill them.

    True when there were any.
    A monitor whose machine has just died tidies up and ends by itself; a stuck one does not. Raises
    `DeadlineError` for one that survives SIGKILL.
    """

    def mine() -> list[int]:
        return [pid for pid, machine in monitors(machines).items() if machine == name]

    def gone() -> None:
        left = mine()
        if left:
            raise NotYet("processes " + " ".join(map(str, left)))

    if not mine():
        return False
    subject = f"{name}: its LXC monitor ended"
    try:
        wait_for(subject, gone, seconds=patience, interval=_INTERVAL)
    except DeadlineError:
        for pid in mine():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(subject, gone, seconds=5, interval=_INTERVAL)
    return True
