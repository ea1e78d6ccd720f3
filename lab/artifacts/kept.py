"""What the store keeps, as it is read: where each thing lies, what an entry says, and whether it is true."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import platformdirs

from lab.artifacts.digests import file_digest, tree_digest
from lab.artifacts.entries import Entry, Key, StoredFile, understood


def cache_folder() -> Path:
    """The cache of this user; `PLUMBLINE_CACHE` names another one."""
    named = os.environ.get("PLUMBLINE_CACHE")
    return Path(named).absolute() if named else platformdirs.user_cache_path("plumbline")


class Kept:
    """The folder of a store, to look into; nothing is written there."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()

    def object_path(self, file: StoredFile) -> Path:
        """Where the content of a file lies."""
        return self.folder / "objects" / file.sha256[:2] / file.sha256

    def download_path(self, sha256: str) -> Path:
        """Where a file with this digest is received."""
        return self.folder / "downloads" / sha256

    def tree_path(self, key: Key) -> Path:
        """Where the tree of a key lies, or would lie."""
        return self.folder / "trees" / key.slug

    def entry_path(self, key: Key) -> Path:
        """The file that says what the artefact of a key is; without it nothing of it is trusted."""
        return self.folder / "entries" / f"{key.slug}.json"

    def paths(self, entry: Entry) -> dict[str, Path]:
        """The files of an entry by name."""
        return {name: self.object_path(file) for name, file in entry.files.items()}

    def read(self, key: Key) -> Entry | None:
        """What the entry of a key says, unchecked; None if there is none or it is unreadable."""
        try:
            path = self.entry_path(key)
            # whoever reads what is no file (a pipe, a device) may wait for ever
            return understood(key, path.read_bytes()) if path.is_file() else None
        except (OSError, ValueError):
            return None

    def damage(self, entry: Entry, *, full: bool = False, times: bool = True) -> str:
        """What is wrong with an artefact, "" if nothing.

        The quick check compares size and time of each file, and the time of a tree's top folder; `full`
        reads and digests every byte, and without `times` what was copied without them is sound. A store may
        be copied by what keeps whole seconds alone (tar, some file systems). What cannot be read is damage.
        """
        for name, file in entry.files.items():
            path = self.object_path(file)
            try:
                seen = path.stat()
                if not stat.S_ISREG(seen.st_mode):
                    return f"{name}: {path} is no file"
                if seen.st_size != file.size or (times and not file.is_of(seen.st_mtime_ns)):
                    return f"{name}: {path} was changed after it was stored"
                if full and file_digest(path) != file.sha256:
                    return f"{name}: {path} no longer has its digest"
            except OSError as error:
                return f"{name}: {_unread(path, error)}"
        if entry.tree:
            path = self.tree_path(entry.key)
            try:
                seen = path.stat()
                if not stat.S_ISDIR(seen.st_mode):
                    return f"{path} is no folder"
                if times and not entry.tree.is_of(seen.st_mtime_ns):
                    return f"{path}: something in it was added or removed"
                if full and tree_digest(path, form=entry.tree.form)[0] != entry.tree.sha256:
                    return f"{path} was changed after it was stored"
            except OSError as error:
                return _unread(path, error)
        return ""


def _unread(path: Path, error: OSError) -> str:
    """What is wrong with a part that cannot be read: root's files are there for another user, and closed."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"{path} is gone"
    return f"{error.filename or path}: cannot be read: {error.strerror}"
