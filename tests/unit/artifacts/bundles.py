"""Bundles for tests: what is in them, how they are changed, and what a store has of them."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.artifacts.bundle import LISTING
from lab.artifacts.store import Entry, Key, Store
from tests.unit.artifacts.making import quiet

PROGRAM, IMAGE = Key.of("tools", "amd64", {"v": 1}), Key.of("coredns", "arm64", {"v": 1})
LIKE_IT = Key.of("etcd", "arm64", {"v": 1})
"""Has a layer of that image."""
TREE = Key.of("debian", "amd64", {"v": 1})
Change = Callable[[dict[str, bytes]], None]


def filled(store: Store) -> list[Entry]:
    """Two programs that share nothing, two images of one layer that is twice in each, and a tree with what
    trees of Debian have."""

    def tools(work: Path) -> dict[str, Path]:
        for name in ("one", "two"):
            (work / name).write_text(name)
            (work / name).chmod(0o755)
        return {name: work / name for name in ("one", "two")}

    def image(work: Path) -> dict[str, Path]:
        (work / "layer").write_bytes(b"layer" * 1000)
        (work / "config").write_text(f"config of {work.name}")
        names = ("layer-000", "layer-001")
        return {"config.json": work / "config", **dict.fromkeys(names, work / "layer")}

    def tree(target: Path) -> dict[str, str]:
        (target / "usr/bin").mkdir(parents=True)
        (target / "bin").symlink_to("usr/bin")
        (target / "run").symlink_to("/run")
        (target / "usr/bin/su").write_text("su")
        (target / "usr/bin/su").chmod(0o4755)
        os.link(target / "usr/bin/su", target / "usr/bin/also")
        (target / "ü name").write_text("text")
        return {"su": "1.0"}

    return [
        store.ensure(PROGRAM, tools, say=quiet, notes={"by": "hand"}),
        store.ensure(IMAGE, image, say=quiet),
        store.ensure(LIKE_IT, image, say=quiet),
        store.ensure_tree(TREE, tree, say=quiet),
    ]


def no_wheels(_folder: Path) -> list[Path]:
    return []


def contents(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def rewritten(bundle: Path, change: Change) -> Path:
    """The bundle with changed members."""
    members = contents(bundle)
    change(members)
    with tarfile.open(bundle, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return bundle


def assert_empty(store: Store) -> None:
    """Nothing in the store that anybody would trust, and nothing that takes room."""
    for name in ("entries", "objects", "trees", "work"):
        assert list((store.folder / name).iterdir()) == [], name


def mine_file(store: Store, name: str) -> Any:
    found = store.find(PROGRAM)
    assert found
    return found.files[name]


def first(members: dict[str, bytes], kind: str) -> str:
    return next(name for name in members if name.startswith(kind))


def listed(edit: Callable[[dict[str, Any]], Any]) -> Change:
    """A list that says something else."""

    def change(members: dict[str, bytes]) -> None:
        said = json.loads(members[LISTING])
        edit(said)
        members[LISTING] = json.dumps(said).encode()

    return change


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info
