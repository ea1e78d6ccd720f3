"""What the store keeps: keys made of inputs, entries made of outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from lab.artifacts.digests import DigestedFile
from lab.catalogue.model import Sha256

# Part of every key: raised when the same inputs would now give something else.
BUILDER = 1


@dataclass(frozen=True)
class Key:
    """What is wanted: a name, an architecture and the digest of every input."""

    name: str
    arch: str
    digest: str

    @classmethod
    def of(cls, name: str, arch: str, inputs: Mapping[str, Any]) -> Key:
        """Make a key; `inputs` is plain JSON data."""
        text = json.dumps({"builder": BUILDER, "arch": arch, **inputs}, sort_keys=True)
        return cls(name, arch, hashlib.sha256(text.encode()).hexdigest())

    @property
    def slug(self) -> str:
        return f"{self.name}-{self.arch}-{self.digest[:16]}"


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: sha256, size in bytes, and the time stamp that makes the quick check."""

    sha256: str
    size: int
    mtime_ns: int

    def is_of(self, mtime_ns: int) -> bool:
        """Whether this time is the one that was kept, or that one without its part of a second."""
        return mtime_ns in (self.mtime_ns, self.mtime_ns - self.mtime_ns % 10**9)


Produced = Mapping[str, Path | DigestedFile | StoredFile]
"""Files of an entry that is being made, by name: new ones, and such as the store has already."""


@dataclass(frozen=True)
class StoredTree(StoredFile):
    """A tree of the store: its digest, size in bytes and the time of its top folder; `form` is that of
    `tree_digest`."""

    form: int


@dataclass(frozen=True)
class Entry:
    """A finished artefact: its files by name, or its tree."""

    key: Key
    files: Mapping[str, StoredFile]
    tree: StoredTree | None
    notes: Mapping[str, str]

    @property
    def size(self) -> int:
        return (self.tree.size if self.tree else 0) + sum(file.size for file in self.files.values())

    @property
    def digest(self) -> str:
        """One sha256 for the whole: of the tree, of the only file, else of the list of files."""
        if self.tree:
            return self.tree.sha256
        if len(self.files) == 1:
            return next(iter(self.files.values())).sha256
        listing = "".join(f"{file.sha256}  {name}\n" for name, file in sorted(self.files.items()))
        return hashlib.sha256(listing.encode()).hexdigest()

    def timed(self, path_of: Callable[[StoredFile], Path], tree_path: Path) -> Entry:
        """The same artefact with the times that its files, or its tree, have now.

        Raises `OSError` for one that is not there.
        """
        files = {
            name: replace(file, mtime_ns=path_of(file).stat().st_mtime_ns)
            for name, file in self.files.items()
        }
        tree = replace(self.tree, mtime_ns=tree_path.stat().st_mtime_ns) if self.tree else None
        return replace(self, files=files, tree=tree)

    def text(self) -> str:
        """The entry as its file holds it."""
        data = {
            "key": self.key.digest,
            "files": {name: asdict(file) for name, file in self.files.items()},
            "tree": asdict(self.tree) if self.tree else None,
            "notes": dict(self.notes),
        }
        return json.dumps(data, indent=1, sort_keys=True) + "\n"


_Whole = Annotated[int, Field(ge=0, lt=1 << 63)]


class _Written(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _File(_Written):
    sha256: Sha256
    size: _Whole
    mtime_ns: _Whole


class _Tree(_File):
    form: Literal[1, 2] = 1  # older versions wrote none


class _Entry(_Written):
    key: Sha256
    files: dict[Annotated[str, StringConstraints(pattern=r"^[^/\x00]+$")], _File]
    tree: _Tree | None
    notes: dict[str, str]


def understood(key: Key, text: bytes) -> Entry | None:
    """The entry of a key out of its file; None for that of another key.

    Raises `ValueError` for a file that says anything else than `Entry.text` writes.
    """
    said = _Entry.model_validate_json(text)
    if said.key != key.digest:
        return None
    files = {name: StoredFile(**file.model_dump()) for name, file in said.files.items()}
    return Entry(key, files, StoredTree(**said.tree.model_dump()) if said.tree else None, said.notes)
