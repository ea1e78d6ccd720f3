"""Digests of files and of whole folders."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def tree_digest(folder: Path) -> tuple[str, int]:
    """One sha256 over names, types, modes, owners and contents below a folder, and its size in bytes.

    Time stamps are left out: they differ between two equal builds. A file with several names is read
    once and counted once.
    """
    total = hashlib.sha256()
    size = 0
    known: dict[tuple[int, int], str] = {}
    for path in sorted(_below(folder)):
        status = path.lstat()
        what = ""
        if stat.S_ISREG(status.st_mode):
            place = (status.st_dev, status.st_ino)
            if place not in known:
                known[place] = file_digest(path)
                size += status.st_size
            what = known[place]
        elif stat.S_ISLNK(status.st_mode):
            what = str(path.readlink())
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            what = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        name = path.relative_to(folder)
        total.update(f"{name}\0{status.st_mode:o}\0{status.st_uid}:{status.st_gid}\0{what}\n".encode())
    return total.hexdigest(), size


def _below(folder: Path) -> list[Path]:
    found = []
    for parent, folders, files in os.walk(folder):
        found += [Path(parent) / name for name in folders + files]
    return found
