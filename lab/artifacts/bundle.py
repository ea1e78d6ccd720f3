"""A bundle: entries of the store as one file, for a machine that can fetch nothing.

A plain tar, whose first member lists all others with digest and size::

    bundle.json            entries of the store, and the wheels
    objects/SHA256         one file of an entry
    trees/NAME-ARCH-KEY.tar  one tree of an entry, as GNU tar writes it (owners, modes, capabilities)
    wheels/NAME.whl        what `pip install -r requirements.lock` needs

Entries keep their keys, so that whoever looks for the same inputs finds them, whatever source made them.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lab import proxies
from lab.artifacts import programs
from lab.artifacts.digests import file_digest
from lab.artifacts.store import Entry, Key, Say, Store
from lab.catalogue.model import Sha256
from lab.errors import FailedError, InputError, PreflightError

LISTING = "bundle.json"
LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
XATTRS = ("--xattrs", "--xattrs-include=security.capability")
"""Programs of Debian that may more than their user does (ping) have it from there."""

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]*$")]
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
    """A tree of an entry: its digest and size in the store, and those of the member that holds it."""

    sha256: Sha256
    size: Size
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


def write(store: Store, entries: Iterable[Entry], wheels: Iterable[Path], target: Path, *, say: Say) -> str:
    """Write a bundle of sound entries; the sha256 of its listing.

    `target` appears when it is complete. Raises `InputError` when it is there already, `PreflightError`
    when the disk is too small, `FailedError` when an object is no longer what its name says.
    """
    if target.exists():
        raise InputError(f"{target}: is there already", next_step="remove it, or name another file")
    with tempfile.TemporaryDirectory(prefix=".bundle-", dir=target.parent) as scratch:
        chosen = list(entries)
        _room(chosen, target.parent)
        places: dict[str, Path] = {}
        packed = [_packed(store, entry, Path(scratch), places, say) for entry in chosen]
        carried = {path.name: Packed(sha256=file_digest(path), size=path.stat().st_size) for path in wheels}
        places |= {f"wheels/{path.name}": path for path in wheels}
        listing = Listing(format=1, entries=tuple(packed), wheels=carried)
        text = listing.model_dump_json(indent=1).encode()
        part = Path(scratch) / "bundle.tar"
        say(f"writing {len(places)} files")
        with tarfile.open(part, "w") as tar:
            _add(tar, LISTING, io.BytesIO(text), len(text))
            for name, one in sorted(listing.members().items()):
                with places[name].open("rb") as stream:
                    _add(tar, name, stream, one.size)
        os.sync()
        part.rename(target)
    return hashlib.sha256(text).hexdigest()


def fetch_wheels(folder: Path, *, say: Say) -> list[Path]:
    """What the lock file names, for the Python that runs this. Raises `CommandError` with pip's output."""
    say("fetching the wheels of requirements.lock")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--require-hashes", "--requirement", str(LOCK), "--dest", str(folder / "wheels")]
    env = {**os.environ, **proxies.settings()}
    programs.run(command, log=folder / "pip.log", cwd=folder, env=env)
    return sorted((folder / "wheels").iterdir())


def _packed(store: Store, entry: Entry, scratch: Path, places: dict[str, Path], say: Say) -> PackedEntry:
    files = {}
    for name, path in store.paths(entry).items():
        file = entry.files[name]
        if file_digest(path) != file.sha256:
            raise FailedError(
                f"{entry.key.name}: {name}: {path} no longer has its digest",
                next_step=f"rm {path} && invoke artifacts --fetch",
            )
        places[f"objects/{file.sha256}"] = path
        files[name] = PackedFile(sha256=file.sha256, size=file.size, executable=os.access(path, os.X_OK))
    tree = None
    if entry.tree:
        archive = scratch / f"{entry.key.slug}.tar"
        say(f"{entry.key.name}: packing its tree")
        command = ["tar", "--create", "--file", str(archive), "--directory", str(store.tree_path(entry.key))]
        command += ["--numeric-owner", "--sort=name", "--format=pax"]
        command += ["--pax-option=delete=atime,delete=ctime", *XATTRS, "."]
        programs.run(command, log=scratch / "tar.log", cwd=scratch)
        member = Packed(sha256=file_digest(archive), size=archive.stat().st_size)
        places[f"trees/{entry.key.slug}.tar"] = archive
        tree = PackedTree(sha256=entry.tree.sha256, size=entry.tree.size, archive=member)
    key = entry.key
    return PackedEntry(
        name=key.name, arch=key.arch, key=key.digest, files=files, tree=tree, notes=dict(entry.notes)
    )


def _room(entries: Iterable[Entry], folder: Path) -> None:
    """Every tree lies beside the bundle once more until it is complete."""
    need = sum(entry.size + (entry.tree.size if entry.tree else 0) for entry in entries)
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
