"""Folders of parts, as systemd's programs read them: /etc before /run before /usr, then by name."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from lab.hosts.survey import FolderFile

ROOTS = ("/etc", "/run", "/usr/local/lib", "/usr/lib")
"""Of two files with one name that of the first folder counts, and hides the other (sysctl.d(5))."""


def patterns(folder: str) -> list[str]:
    """Where the parts of a folder lie, such as `sysctl.d`."""
    return [f"{root}/{folder}/*.conf" for root in ROOTS]


def in_order(entries: Iterable[FolderFile], folder: str) -> list[FolderFile]:
    """The parts that count, in the order in which they are read; of what they say twice the later counts."""
    places = {f"{root}/{folder}": rank for rank, root in enumerate(ROOTS)}
    found: dict[str, tuple[int, FolderFile]] = {}
    for entry in entries:
        path = PurePosixPath(entry.path)
        rank = places.get(str(path.parent))
        if rank is not None and path.suffix == ".conf" and rank <= found.get(path.name, (rank, entry))[0]:
            found[path.name] = (rank, entry)
    return [found[name][1] for name in sorted(found)]
