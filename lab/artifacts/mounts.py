"""Mounts below the store: we leave none, and what an older checkout left is taken away."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from lab.errors import CommandError, FailedError
from lab.local import run

MOUNTINFO = Path("/proc/self/mountinfo")
PLACES = ("trees", "work")
"""Folders of the store in which trees are made and kept. The store itself, or any other folder of it, may
well be a disk of its own."""
SECONDS = 20.0


def mount_points(text: str) -> list[Path]:
    """The mount points that a mountinfo text names, in its order (proc(5): space, tab, newline and backslash
    are octal)."""
    fields = [line.split(" ")[4] for line in text.splitlines()]
    return [Path(re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)) for field in fields]


def inside(folder: Path, text: str) -> list[Path]:
    """What is mounted inside a folder, the newest first: the order in which it can be taken away."""
    real = folder.resolve()
    return [point for point in reversed(mount_points(text)) if real in point.parents]


def left_behind(store: Path) -> list[Path]:
    """What is mounted inside the trees of a store, in the order in which it can be taken away."""
    text = MOUNTINFO.read_text()
    return [point for place in PLACES for point in inside(store / place, text)]


def take_away(store: Path, say: Callable[[str], None]) -> None:
    """Unmount what is mounted inside the trees of a store: of this version all of it lives in namespaces that
    end with their programs, older ones could leave /proc there.

    Raises `FailedError` with the command when it cannot be done.
    """
    for point in left_behind(store):
        try:
            run(["umount", str(point)], timeout=SECONDS)
        except CommandError as error:
            raise FailedError(
                f"{point}: an older version left this mounted: {error.output.strip()}",
                next_step=f"umount {point}",
            ) from None
        say(f"unmounted {point}, which an older version left behind")
