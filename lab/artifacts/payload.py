"""The programs of the platform as a tree that lies above Debian in every machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lab.artifacts.store import Key, Say, Store


def payload_key(programs: Mapping[str, str], arch: str) -> Key:
    """`programs`: path in the machine -> sha256."""
    return Key.of("payload", arch, {"programs": dict(programs)})


def payload_tree(store: Store, programs: Mapping[str, Path], key: Key, *, say: Say) -> Path:
    """A tree of hard links to stored programs; `programs`: path in the machine -> stored file.

    Owners and modes of the folders are those of a Debian system, because the tree is a layer of an
    overlay and would otherwise change them.
    """

    def produce(tree: Path) -> Mapping[str, str]:
        tree.mkdir()
        for name, path in programs.items():
            target = tree / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)
        for folder in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
        return {}

    store.ensure_tree(key, produce, say=say)
    return store.tree_path(key)
