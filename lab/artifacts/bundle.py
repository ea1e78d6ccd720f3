"""A bundle: entries of the store as one file, for a machine that can fetch nothing.

A plain tar, whose first member lists all others with digest and size::

    bundle.json            entries of the store, and the wheels
    objects/SHA256         one file of an entry
    trees/NAME-ARCH-KEY.tar  one tree of an entry, as GNU tar writes it (owners, modes, capabilities)
    wheels/NAME.whl        what `pip install -r requirements.lock` needs

Entries keep their keys, so that whoever looks for the same inputs finds them, whatever source made them.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
import shutil
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lab import proxies
from lab.artifacts import programs
from lab.artifacts.digests import CAPABILITY, file_digest
from lab.artifacts.obstacles import NO_ROOM
from lab.artifacts.sources.trouble import BUILD_HERE, meaning
from lab.artifacts.store import Entry, Key, Say, Store
from lab.catalogue.model import Sha256
from lab.errors import CommandError, FailedError, InputError, PreflightError

LISTING = "bundle.json"
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
XATTRS = ("--xattrs", f"--xattrs-include={CAPABILITY}")
"""Programs of Debian that may more than their user does (ping) have it from there."""

_NO_ROOM = (*NO_ROOM, errno.EFBIG)

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+!-]*$")]
"""A ! stands in the version of a wheel that has an epoch (PEP 440)."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
Size = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Packed(_Model):
    """One member: sha256 and size in bytes."""

    sha256: Sha256
    size: Size


class PackedFile(Packed):
    """A file of an entry."""

    executable: bool


class PackedTree(_Model):
    """A tree of an entry: its digest (`form`: that of `tree_digest`) and size in the store, and those of the
    member that holds it."""

    sha256: Sha256
    size: Size
    form: Literal[1, 2] = 1  # older versions wrote none
    archive: Packed


class PackedEntry(_Model):
    """An entry as the store has it."""

    name: Name
    arch: Name
    key: Sha256
    files: dict[FileName, PackedFile]
    tree: PackedTree | None
    notes: dict[str, str]

    @property
    def store_key(self) -> Key:
        """The key under which it is looked for."""
        return Key(self.name, self.arch, self.key)


class Listing(_Model):
    """What bundle.json says."""

    format: Literal[1]
    entries: tuple[PackedEntry, ...]
    wheels: dict[FileName, Packed]

    def labels(self) -> dict[str, str]:
        """What a person calls each member: component and file of an object, the name of a wheel."""
        found = {f"wheels/{name}": f"wheels/{name}" for name in self.wheels}
        for entry in self.entries:
            whose = f"{entry.name} ({entry.arch})"
            found |= {f"objects/{file.sha256}": f"{whose}: {name}" for name, file in entry.files.items()}
            found[f"trees/{entry.store_key.slug}.tar"] = f"{whose}: its tree"
        return found

    def members(self) -> dict[str, Packed]:
        """Every other member of the bundle by its name."""
        found: dict[str, Packed] = {f"wheels/{name}": wheel for name, wheel in self.wheels.items()}
        for entry in self.entries:
            found |= {f"objects/{file.sha256}": file for file in entry.files.values()}
            if entry.tree:
                found[f"trees/{entry.store_key.slug}.tar"] = entry.tree.archive
        return found


def write(
    store: Store, entries: Iterable[Entry], fetch: Callable[[Path], Iterable[Path]], target: Path, *, say: Say
) -> tuple[Listing, str]:
    """Write a bundle of sound entries and of the wheels that `fetch` puts into a folder; its listing, and the
    listing's sha256.

    `target` appears when it is complete; what an earlier writer that was killed left beside it goes first.
    Raises what `try_out` raises, `PreflightError` when the disk is too small, `FailedError` for an artefact
    that is no longer what was stored: every file and every tree is digested.
    """
    with _scratch(target) as scratch:
        chosen = list(entries)
        _room(chosen, target.parent)
        wheels = list(fetch(scratch))
        places: dict[str, Path] = {}
        packed = [_packed(store, entry, scratch, places, say) for entry in chosen]
        carried = {path.name: Packed(sha256=file_digest(path), size=path.stat().st_size) for path in wheels}
        places |= {f"wheels/{path.name}": path for path in wheels}
        listing = Listing(format=1, entries=tuple(packed), wheels=carried)
        text = listing.model_dump_json(indent=1).encode()
        part = scratch / "bundle.tar"
        say(f"writing {len(places)} files")
        with tarfile.open(part, "w") as tar:
            _add(tar, LISTING, io.BytesIO(text), len(text))
            for name, one in sorted(listing.members().items()):
                with places[name].open("rb") as stream:
                    _add(tar, name, stream, one.size)
        os.sync()
        part.rename(target)
    return listing, hashlib.sha256(text).hexdigest()


def try_out(target: Path) -> None:
    """Look whether a bundle can be written, before anything is made for it; nothing is left there.

    Raises `InputError` when it is there already or cannot be made there, `PreflightError` when another
    process writes it.
    """
    with _scratch(target):
        pass  # of /proc and the like only the attempt tells


@contextmanager
def _scratch(target: Path) -> Iterator[Path]:
    """An empty folder beside a bundle, for as long as it is written; it is this process's until that ends."""
    try:
        _new(target)
        folder = target.with_name(f".{target.name}.part")
        folder.mkdir(exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):  # another user's, who was killed
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(
            f"{target}: cannot be written: {error.strerror}", next_step="name a file in a folder of yours"
        ) from None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise PreflightError(
            f"{target}: another process writes it", next_step="wait for it, or name another file"
        ) from None
    try:
        for left in folder.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield folder
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise FailedError(
            f"{target}: cannot be written to its end: {error.strerror}",
            next_step="name a file on a larger disk",
        ) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _new(target: Path) -> None:
    """Refuse a file that is there already, or whose folder is not. Raises `OSError` where nobody may look."""
    try:
        target.stat()
    except FileNotFoundError:
        if target.parent.is_dir():
            return
        raise InputError(
            f"{target}: its folder does not exist", next_step="name a new file in a folder that exists"
        ) from None
    raise InputError(f"{target}: is there already", next_step="remove it, or name another file")


def fetch_wheels(folder: Path, *, log: Path, say: Say) -> list[Path]:
    """What the lock file names, for the Python that runs this; pip's output is kept in `log`.

    Raises `FailedError` with what hinders it, or with the end of what it said.
    """
    say("fetching the wheels of requirements.lock")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--requirement", str(LOCK), "--dest", str(folder / "wheels")]
    env = {**os.environ, **proxies.settings()}
    try:
        programs.run(command, log=log, cwd=folder, env=env)
    except CommandError as error:
        why = meaning(error.output)
        if why is None:
            raise
        # pip tries for a minute, and its last line says that there is no such package
        raise FailedError(
            f"the wheels of {LOCK.name}: {why.seen}", next_step=why.next_step.removesuffix(f", {BUILD_HERE}")
        ) from None
    return sorted((folder / "wheels").iterdir())


def run_tar(arguments: Sequence[str], *, log: Path, cwd: Path) -> None:
    """Run GNU tar. Raises `CommandError` with its output, and `OSError` when it found no room."""
    try:
        env = {**os.environ, "LC_ALL": "C"}  # its words are read here
        programs.run(["tar", *arguments, "--numeric-owner", *XATTRS], log=log, cwd=cwd, env=env)
    except CommandError as error:
        for number in NO_ROOM:
            if os.strerror(number) in error.output:
                raise OSError(number, os.strerror(number)) from None
        raise


def _packed(store: Store, entry: Entry, scratch: Path, places: dict[str, Path], say: Say) -> PackedEntry:
    if damage := store.damage(entry, full=True, times=False):
        raise FailedError(
            f"{entry.key.name} ({entry.key.arch}): {damage}",
            next_step=f"while no lab runs, rm {store.entry_path(entry.key)}; the same command again makes it "
            "anew",
        )
    files = {}
    for name, path in store.paths(entry).items():
        file = entry.files[name]
        places[f"objects/{file.sha256}"] = path
        files[name] = PackedFile(sha256=file.sha256, size=file.size, executable=os.access(path, os.X_OK))
    tree = None
    if entry.tree:
        archive = scratch / f"{entry.key.slug}.tar"
        say(f"{entry.key.name}: packing its tree")
        command = ["--create", "--file", str(archive), "--directory", str(store.tree_path(entry.key))]
        command += ["--sort=name", "--format=pax", "--pax-option=delete=atime,delete=ctime", "."]
        run_tar(command, log=store.folder / "logs" / "bundle.log", cwd=scratch)
        member = Packed(sha256=file_digest(archive), size=archive.stat().st_size)
        places[f"trees/{entry.key.slug}.tar"] = archive
        kept = entry.tree
        tree = PackedTree(sha256=kept.sha256, size=kept.size, form=kept.form, archive=member)
    key = entry.key
    return PackedEntry(
        name=key.name, arch=key.arch, key=key.digest, files=files, tree=tree, notes=dict(entry.notes)
    )


def _room(entries: Sequence[Entry], folder: Path) -> None:
    """Every tree lies beside the bundle once more until it is complete."""
    need = sum({file.sha256: file.size for entry in entries for file in entry.files.values()}.values())
    need += sum(2 * entry.tree.size for entry in entries if entry.tree)
    free = shutil.disk_usage(folder).free
    if free < need:
        raise PreflightError(
            f"{folder}: {free // 2**20} MiB free, a bundle of this takes {need // 2**20} MiB",
            next_step="name a file on a larger disk",
        )


def _add(tar: tarfile.TarFile, name: str, stream: io.BufferedIOBase, size: int) -> None:
    """A member without a time or an owner: the same content gives the same bundle."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    tar.addfile(info, stream)
