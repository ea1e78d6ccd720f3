"""The store: what was built or fetched, by the digest of what it was made from and of what it is.

Layout of the cache folder (`PLUMBLINE_CACHE`, else the user's cache folder)::

    objects/ab/abcd...      one file, named by the sha256 of its content
    trees/NAME-ARCH-KEY/    one folder (root filesystem, image store), never changed once named
    entries/NAME-ARCH-KEY.json  written last: names the files or the tree with digests and sizes
    work/NAME-ARCH/         unfinished; emptied by the next one who holds the lock
    work/again.*/           an entry that is being rewritten
    downloads/abcd...       received parts of official files, gone when an artefact is made of them
    locks/NAME-ARCH         held by the process that makes NAME; let go by the kernel when it dies

Nothing is trusted that no entry names, and an entry is written after all that it names is on the disk, so
a build killed at any moment leaves only `work/`, and perhaps an object or a tree without an entry.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.artifacts.digests import TREE_FORM, DigestedFile, file_digest, tree_digest
from lab.artifacts.entries import Entry, Key, Produced, StoredFile, StoredTree
from lab.artifacts.kept import Kept, cache_folder
from lab.artifacts.mounts import inside
from lab.artifacts.obstacles import told, unusable
from lab.errors import FailedError

MOUNTS = Path("/proc/self/mountinfo")

__all__ = ["Entry", "Key", "Produced", "Say", "Store", "StoredFile", "StoredTree", "cache_folder", "flush"]

Say = Callable[[str], None]

_judged: dict[tuple[Path, Key], tuple[Entry, Entry, str]] = {}
"""What was digested in this process: the entry as recorded, as it was found, and what is wrong with it. In a
store in which nothing can be written nobody else remembers it."""

LONG = 16 << 20
"""Bytes that are digested in a tenth of a second or so: of more it is said that they are."""
_AGAIN = "again."


def silent(_line: str) -> None:
    """For who has nobody to tell."""


class Store(Kept):
    """The artefacts of this user, shared by all labs and safe for several processes.

    `say` is told of what takes long while something is looked for. Raises `PreflightError` for a folder in
    which nothing can be made; `reads` is for those who make nothing, not even the folder.
    """

    def __init__(self, folder: Path | None = None, *, reads: bool = False, say: Say = silent) -> None:
        super().__init__(folder)
        self._say = say
        if reads:
            return
        try:
            for name in ("objects", "trees", "entries", "work", "downloads", "locks", "logs"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self.folder, str(error.strerror)) from None

    def find(self, key: Key) -> Entry | None:
        """The finished artefact of a key, or None if it is missing or damaged."""
        entry, wrong = self.judged(key)
        return None if wrong else entry

    def judged(self, key: Key) -> tuple[Entry | None, str]:
        """What is recorded of a key, None if nothing is, and what is wrong with it, "" for what is sound.

        The quick check decides where it can. Whoever fails it by times alone, as after a copy that kept none,
        is digested in full, and a sound one is recorded, and returned, with the times that it has now.
        """
        entry = self.read(key)
        if not entry or not self.damage(entry):
            return entry, ""
        recorded, present, wrong = _judged.get((self.folder, key), (None, entry, ""))
        if recorded == entry and not self.damage(present):
            return (entry, wrong) if wrong else (present, "")
        wrong = self.damage(entry, times=False)
        if wrong:
            return entry, wrong
        if entry.size > LONG:
            self._say(f"{key.name}: its times are not those of the store: digesting {entry.size >> 20} MiB")
        try:
            # before the digest: what is changed later has another time than the one that is recorded
            present = entry.timed(self.object_path, self.tree_path(key))
        except OSError as error:
            return entry, f"{error.filename}: {error.strerror}"
        wrong = self.damage(present, full=True)
        _judged[self.folder, key] = (entry, present, wrong)
        if wrong:
            return entry, wrong
        self._record_again(present)
        return present, ""

    def _record_again(self, present: Entry) -> None:
        """Record an entry with the times of now, where something can be written.

        The files keep their times: other entries may name them, and would digest them in turn.
        """
        # without the lock, which whoever makes the artefact holds while it looks for it
        with suppress(OSError), TemporaryDirectory(prefix=_AGAIN, dir=self.folder / "work") as work:
            for path in self.paths(present).values():
                flush(path)
            if present.tree:
                os.sync()
            self._record(present, Path(work))

    def sweep(self) -> None:
        """Remove what killed processes left of entries that they rewrote.

        A living one loses nothing but its record: it goes on with what it found sound.
        """
        for left in (self.folder / "work").glob(f"{_AGAIN}*"):
            shutil.rmtree(left, ignore_errors=True)

    def ensure(
        self,
        key: Key,
        produce: Callable[[Path], Produced],
        *,
        say: Say,
        notes: Mapping[str, str] | None = None,
    ) -> Entry:
        """The files of a key; made by `produce` only if the store has none that is sound.

        `produce` gets an empty folder and returns files in it by name, with their digests if it knows them,
        and files that the store has already. Two names may be of one file.
        """
        found = self.find(key)
        if found:
            return found
        with self._making(key, say) as work:
            found = self.find(key)
            if found:
                return found
            made = produce(work)
            adopted = {file: self._adopt(file) for file in dict.fromkeys(made.values())}
            files = {name: adopted[file] for name, file in sorted(made.items())}
            return self._record(Entry(key, files, None, notes or {}), work)

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
            mtime = target.stat().st_mtime_ns
            return self._record(Entry(key, {}, StoredTree(digest, size, mtime, TREE_FORM), notes), work)

    @contextmanager
    def _making(self, key: Key, say: Say) -> Iterator[Path]:
        """Hold the lock of a name and give an empty folder to work in, removed afterwards."""
        name = f"{key.name}-{key.arch}"
        with told(key.name, self.folder), self._locked(name, say):
            work = self.folder / "work" / name
            if work.exists():
                self._remove(work)
            work.mkdir()
            try:
                # here too: the room that is free is told before the work is removed
                with told(key.name, self.folder):
                    yield work
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

    def _adopt(self, file: Path | DigestedFile | StoredFile) -> StoredFile:
        """Move a finished file into the store, unless it is there."""
        if isinstance(file, StoredFile):
            return file
        path, digest = (
            (file.path, file.sha256) if isinstance(file, DigestedFile) else (file, file_digest(file))
        )
        target = self.folder / "objects" / digest[:2] / digest
        target.parent.mkdir(exist_ok=True)
        executable = os.access(path, os.X_OK) or os.access(target, os.X_OK)
        # Read-only, and 0755 where it is a program: payload trees are hard links to these files.
        path.chmod(0o755 if executable else 0o444)
        if target.exists():
            # another entry has the same bytes, and knows them by this time
            kept = target.stat()
            os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        flush(path)
        path.rename(target)
        seen = target.stat()
        return StoredFile(digest, seen.st_size, seen.st_mtime_ns)

    def _record(self, entry: Entry, work: Path) -> Entry:
        """Write the entry under its name in one step, after everything it names."""
        # First in the work folder: what a crash leaves there is swept, and readers see a whole entry or none.
        part = work / "entry.json"
        part.write_text(entry.text())
        flush(part)
        part.rename(self.entry_path(entry.key))
        flush(self.folder / "entries")
        return entry


def flush(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
