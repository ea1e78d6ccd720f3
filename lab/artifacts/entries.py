"""What the store keeps: keys made of inputs, entries made of outputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


@dataclass(frozen=True)
class Entry:
    """A finished artefact: its files by name, or its tree (digest, size in bytes)."""

    key: Key
    files: Mapping[str, StoredFile]
    tree: StoredFile | None
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
