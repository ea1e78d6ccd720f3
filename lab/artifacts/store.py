"""The store: what was built or fetched, by the digest of what it was made from and of what it is.

Layout of the cache folder (`PLUMBLINE_CACHE`, else the user's cache folder)::

    objects/ab/abcd...      one file, named by the sha256 of its content
    trees/NAME-ARCH-KEY/    one folder (root filesystem, image store), never changed once named
    entries/NAME-ARCH-KEY.json  written last: names the files or the tree with digests and sizes
    work/NAME-ARCH/         unfinished; emptied by the next one who holds the lock
    downloads/abcd...       received parts of official files, gone when an artefact is made of them
    locks/NAME-ARCH         held by the process that makes NAME; let go by the kernel when it dies

Nothing is trusted that no entry names, and an entry is written after all that it names is on the disk, so
a build killed at any moment leaves only `work/`, and perhaps an object or a tree without an entry.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from lab.artifacts.digests import file_digest, tree_digest
from lab.artifacts.entries import Entry, Key, StoredFile
from lab.artifacts.mounts import inside
from lab.errors import FailedError

MOUNTS = Path("/proc/self/mountinfo")

__all__ = ["Entry", "Key", "Say", "Store", "StoredFile", "cache_folder", "flush"]

Say = Callable[[str], None]


def cache_folder() -> Path:
    """The cache of this user; `PLUMBLINE_CACHE` names another one."""
    named = os.environ.get("PLUMBLINE_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("plumbline")


class Store:
    """The artefacts of this user, shared by all labs and safe for several processes."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()
        for name in ("objects", "trees", "entries", "work", "downloads", "locks", "logs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def object_path(self, file: StoredFile) -> Path:
        """Where the content of a file lies."""
        return self.folder / "objects" / file.sha256[:2] / file.sha256

    def download_path(self, sha256: str) -> Path:
        """Where a file with this digest is received."""
        return self.folder / "downloads" / sha256

    def tree_path(self, key: Key) -> Path:
        """Where the tree of a key lies, or would lie."""
        return self.folder / "trees" / key.slug

    def paths(self, entry: Entry) -> dict[str, Path]:
        """The files of an entry by name."""
        return {name: self.object_path(file) for name, file in entry.files.items()}

    def find(self, key: Key) -> Entry | None:
        """The finished artefact of a key, or None if it is missing or fails the quick check."""
        entry = self.read(key)
        return entry if entry and not self.damage(entry) else None

    def read(self, key: Key) -> Entry | None:
        """What the entry of a key says, unchecked; None if there is none or it is unreadable."""
        try:
            data = json.loads(self._entry_path(key).read_text())
            files = {name: StoredFile(**file) for name, file in data["files"].items()}
            tree = StoredFile(**data["tree"]) if data["tree"] else None
            if data["key"] != key.digest:
                return None
            return Entry(key, files, tree, data["notes"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def damage(self, entry: Entry, *, full: bool = False) -> str:
        """What is wrong with an artefact, "" if nothing.

        The quick check compares size and time of each file, and the time of a tree's top folder; `full`
        reads and digests every byte. A store may be copied by what keeps whole seconds alone (tar, some
        file systems).
        """
        for name, file in entry.files.items():
            path = self.object_path(file)
            try:
                seen = path.stat()
            except OSError:
                return f"{name}: {path} is gone"
            if seen.st_size != file.size or not _same_time(seen.st_mtime_ns, file.mtime_ns):
                return f"{name}: {path} was changed after it was stored"
            if full and file_digest(path) != file.sha256:
                return f"{name}: {path} no longer has its digest"
        if entry.tree:
            path = self.tree_path(entry.key)
            if not path.is_dir():
                return f"{path} is gone"
            if not _same_time(path.stat().st_mtime_ns, entry.tree.mtime_ns):
                return f"{path}: something in it was added or removed"
            if full and tree_digest(path)[0] != entry.tree.sha256:
                return f"{path} was changed after it was stored"
        return ""

    def ensure(
        self,
        key: Key,
        produce: Callable[[Path], Mapping[str, Path]],
        *,
        say: Say,
        notes: Mapping[str, str] | None = None,
    ) -> Entry:
        """The files of a key; made by `produce` only if the store has none that is sound.

        `produce` gets an empty folder and returns files in it by name.
        """
        found = self.find(key)
        if found:
            return found
        with self._making(key, say) as work:
            found = self.find(key)
            if found:
                return found
            files = {name: self._adopt(path) for name, path in sorted(produce(work).items())}
            return self._record(Entry(key, files, None, notes or {}))

    def ensure_tree(self, key: Key, produce: Callable[[Path], Mapping[str, str]], *, say: Say) -> Entry:
        """The tree of a key; made by `produce` only if the store has none.

        `produce` gets the path of a folder to make, and returns notes worth keeping (versions).
        """
        found = self.find(key)
        if found:
            return found
        with self._making(key, say) as work:
            found = self.find(key)
            if found:
                return found
            notes = produce(work / "tree")
            digest, size = tree_digest(work / "tree")
            target = self.tree_path(key)
            if target.exists():
                self._remove(target)
            (work / "tree").rename(target)
            os.sync()
            return self._record(Entry(key, {}, StoredFile(digest, size, target.stat().st_mtime_ns), notes))

    @contextmanager
    def _making(self, key: Key, say: Say) -> Iterator[Path]:
        """Hold the lock of a name and give an empty folder to work in, removed afterwards."""
        name = f"{key.name}-{key.arch}"
        with self._locked(name, say):
            work = self.folder / "work" / name
            if work.exists():
                self._remove(work)
            work.mkdir()
            try:
                yield work
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                free = shutil.disk_usage(self.folder).free >> 20
                raise FailedError(
                    f"{key.name}: {self.folder}: the disk is full ({free} MiB are free)",
                    next_step="df -h; free some space, or PLUMBLINE_CACHE=/another/folder",
                ) from None
            finally:
                self._remove(work)

    @contextmanager
    def _locked(self, name: str, say: Say) -> Iterator[None]:
        # brings asyncio along, and whoever finds what is wanted takes no lock
        from filelock import FileLock, Timeout

        lock = FileLock(self.folder / "locks" / name)
        started = time.monotonic()
        while True:
            try:
                with lock.acquire(timeout=10):
                    yield
                return
            except Timeout:
                say(f"{name}: another process makes it, waiting ({time.monotonic() - started:.0f} s)")

    def _remove(self, path: Path) -> None:
        """Remove an unfinished or broken folder of this store, and never anything else.

        Only a direct child of `work/` or `trees/` is taken, by its real path, and only if nothing is
        mounted inside: a killed bootstrap could leave /proc there, which must not be emptied.
        """
        real = path.resolve(strict=True)
        owners = {(self.folder / name).resolve(strict=True) for name in ("work", "trees")}
        if real.parent not in owners or path.is_symlink():
            raise FailedError(f"{path}: is no folder of the store {self.folder}, not removed")
        if mounted := inside(real, MOUNTS.read_text()):
            raise FailedError(f"{path}: {mounted[0]} is mounted inside", next_step=f"umount {mounted[0]}")
        shutil.rmtree(real)

    def _adopt(self, path: Path) -> StoredFile:
        """Move a finished file into the store."""
        digest = file_digest(path)
        executable = os.access(path, os.X_OK)
        target = self.folder / "objects" / digest[:2] / digest
        target.parent.mkdir(exist_ok=True)
        # Read-only, and 0755 where it is a program: payload trees are hard links to these files.
        path.chmod(0o755 if executable else 0o444)
        flush(path)
        path.rename(target)
        seen = target.stat()
        return StoredFile(digest, seen.st_size, seen.st_mtime_ns)

    def _record(self, entry: Entry) -> Entry:
        """Write the entry under its name in one step, after everything it names."""
        data = {
            "key": entry.key.digest,
            "files": {name: vars(file) for name, file in entry.files.items()},
            "tree": vars(entry.tree) if entry.tree else None,
            "notes": dict(entry.notes),
        }
        # First in the work folder: what a crash leaves there is swept, and readers see a whole entry or none.
        part = self.folder / "work" / f"{entry.key.name}-{entry.key.arch}" / "entry.json"
        part.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n")
        flush(part)
        part.rename(self._entry_path(entry.key))
        flush(self.folder / "entries")
        return entry

    def _entry_path(self, key: Key) -> Path:
        return self.folder / "entries" / f"{key.slug}.json"


def _same_time(seen: int, kept: int) -> bool:
    """Whether a time in nanoseconds is the one that was kept, or that one without its part of a second."""
    return seen in (kept, kept - kept % 10**9)


def flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
