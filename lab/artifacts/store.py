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

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import platformdirs

from lab.artifacts.digests import TREE_FORM, DigestedFile, file_digest, tree_digest
from lab.artifacts.entries import Entry, Key, Produced, StoredFile, StoredTree, understood
from lab.artifacts.mounts import inside
from lab.artifacts.obstacles import told, unusable
from lab.errors import FailedError

MOUNTS = Path("/proc/self/mountinfo")

__all__ = ["Entry", "Key", "Produced", "Say", "Store", "StoredFile", "StoredTree", "cache_folder", "flush"]

Say = Callable[[str], None]

_unrecorded: dict[tuple[Path, Key], tuple[Entry, Entry]] = {}
"""Entries of a store in which nothing can be written: as recorded, and as found sound by its digests."""


def cache_folder() -> Path:
    """The cache of this user; `PLUMBLINE_CACHE` names another one."""
    named = os.environ.get("PLUMBLINE_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("plumbline")


class Store:
    """The artefacts of this user, shared by all labs and safe for several processes.

    Raises `PreflightError` for a folder in which nothing can be made; `reads` is for those who make nothing,
    not even the folder.
    """

    def __init__(self, folder: Path | None = None, *, reads: bool = False) -> None:
        self.folder = folder or cache_folder()
        if reads:
            return
        try:
            for name in ("objects", "trees", "entries", "work", "downloads", "locks", "logs"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unusable(self.folder, str(error.strerror)) from None

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

    def find(self, key: Key) -> Entry | None:
        """The finished artefact of a key, or None if it is missing or damaged.

        The quick check decides where it can. Whoever fails it by times alone, as after a copy that kept none,
        is digested in full, and a sound one is recorded, and returned, with the times that it has now.
        """
        entry = self.read(key)
        if not entry or not self.damage(entry):
            return entry
        recorded, present = _unrecorded.get((self.folder, key), (None, None))
        if present and recorded == entry and not self.damage(present):
            return present
        present = self._as_it_is(entry)
        if present:
            self._record_again(entry, present)
        return present

    def read(self, key: Key) -> Entry | None:
        """What the entry of a key says, unchecked; None if there is none or it is unreadable."""
        try:
            return understood(key, self.entry_path(key).read_bytes())
        except (OSError, ValueError):
            return None

    def damage(self, entry: Entry, *, full: bool = False, times: bool = True) -> str:
        """What is wrong with an artefact, "" if nothing.

        The quick check compares size and time of each file, and the time of a tree's top folder; `full`
        reads and digests every byte, and without `times` what was copied without them is sound. A store may
        be copied by what keeps whole seconds alone (tar, some file systems).
        """
        for name, file in entry.files.items():
            path = self.object_path(file)
            try:
                seen = path.stat()
            except OSError:
                return f"{name}: {path} is gone"
            if not stat.S_ISREG(seen.st_mode):
                return f"{name}: {path} is no file"
            if seen.st_size != file.size or (times and not file.is_of(seen.st_mtime_ns)):
                return f"{name}: {path} was changed after it was stored"
            if full and file_digest(path) != file.sha256:
                return f"{name}: {path} no longer has its digest"
        if entry.tree:
            path = self.tree_path(entry.key)
            if not path.is_dir():
                return f"{path} is gone"
            if times and not entry.tree.is_of(path.stat().st_mtime_ns):
                return f"{path}: something in it was added or removed"
            if full and tree_digest(path, form=entry.tree.form)[0] != entry.tree.sha256:
                return f"{path} was changed after it was stored"
        return ""

    def _as_it_is(self, entry: Entry) -> Entry | None:
        """The entry with the times of now, if all of it has its digest; else None."""
        try:
            # before the digest: what is changed later has another time than the one that is recorded
            present = entry.timed(self.object_path, self.tree_path(entry.key))
        except OSError:
            return None
        return None if self.damage(present, full=True) else present

    def _record_again(self, entry: Entry, present: Entry) -> None:
        """Record an entry with the times of now, or remember it in this process where nothing can be written.

        The files keep their times: other entries may name them, and would digest them in turn.
        """
        try:
            for path in self.paths(present).values():
                flush(path)
            if present.tree:
                os.sync()
            # without the lock, which whoever makes the artefact holds while it looks for it
            with TemporaryDirectory(dir=self.folder / "work") as work:
                self._record(present, Path(work))
        except OSError:
            _unrecorded[self.folder, present.key] = (entry, present)

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
