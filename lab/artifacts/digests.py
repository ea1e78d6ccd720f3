"""Digests of files and of whole folders."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

PIECE = 1 << 16
"""Bytes that are read or copied at a time. With a mebibyte each piece is memory that the system must find
anew, which took a third of the work of receiving a file."""

CAPABILITY = "security.capability"
"""The extended attribute that holds a program's capabilities; Debian's ping has one."""
TREE_FORM = 2
"""What the digest of a tree is over, told beside it in the store and in a bundle: 2 is with capabilities,
1 was without."""


@dataclass(frozen=True)
class DigestedFile:
    """A file and its sha256, known to whoever wrote it: digesting it once more would read it once more."""

    path: Path
    sha256: str


class DigestingWriter(io.BufferedIOBase):
    """A file for writing that digests what is written to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._seen, self._size = out, hashlib.sha256(), 0

    def resume(self) -> None:
        """Digest what the file has already, and go on behind it."""
        while piece := self._out.read(PIECE):
            self._seen.update(piece)
            self._size += len(piece)

    def write(self, content: ReadableBuffer, /) -> int:
        self._seen.update(content)
        self._size += memoryview(content).nbytes
        return self._out.write(content)

    def tell(self) -> int:
        """How much the file has."""
        return self._out.tell()

    @property
    def sha256(self) -> str:
        """Of all that was written, in hexadecimal."""
        return self._seen.hexdigest()


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def recipe_digest(folder: Path) -> str:
    """sha256 over every file of a recipe's folder; where the folder lies is no part of it."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            total.update(f"{path.relative_to(folder)}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def tree_digest(folder: Path, *, form: int = TREE_FORM) -> tuple[str, int]:
    """One sha256 over names, types, modes, owners, capabilities and contents below a folder, and its size in
    bytes.

    Time stamps are left out: they differ between two equal builds. A file with several names is read
    once and counted once. `form` 1 is what older versions recorded: without capabilities. Raises `OSError`
    for what cannot be read.
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
            if form > 1 and (capability := _capability(path)):
                what += f"\0{capability.hex()}"
        elif stat.S_ISLNK(status.st_mode):
            what = str(path.readlink())
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            what = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
        name = path.relative_to(folder)
        total.update(f"{name}\0{status.st_mode:o}\0{status.st_uid}:{status.st_gid}\0{what}\n".encode())
    return total.hexdigest(), size


def _capability(path: Path) -> bytes:
    """What a program may do more than its user (capabilities(7)), as the kernel keeps it; b"" for nothing."""
    try:
        return os.getxattr(path, CAPABILITY, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.EOPNOTSUPP):
            return b""
        raise


def _below(folder: Path) -> list[Path]:
    """All that is below a folder. Raises `OSError` for a folder that cannot be read."""
    found = []
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        found += [Path(parent) / name for name in folders + files]
    return found


def _refuse(error: OSError) -> None:
    raise error
