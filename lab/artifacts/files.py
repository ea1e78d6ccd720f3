"""Single files of projects (add-ons' manifests, an API's schemas): the same bytes out of module or URL."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.artifacts.digests import DigestedFile, file_digest
from lab.artifacts.store import Entry, Key, Say, Store
from lab.catalogue.model import SingleFile
from lab.errors import FailedError


def file_key(name: str, file: SingleFile) -> Key:
    """The digest alone decides: both sources give the same file."""
    return Key.of(name, "any", {"sha256": file.sha256})


def fetched(store: Store, name: str, file: SingleFile, say: Say) -> Entry:
    """The file of a key, from its URL."""

    def produce(work: Path) -> Mapping[str, DigestedFile]:
        from lab import proxies
        from lab.artifacts.sources.fetch import fetch

        target = work / f"{name}{file.suffix}"
        with proxies.fetching():
            fetch(file.filled(file.url), file.sha256, target, say=say)
        return {target.name: DigestedFile(target, file.sha256)}

    return store.ensure(file_key(name, file), produce, say=say)


def out_of_module(store: Store, name: str, file: SingleFile, say: Say) -> Entry:
    """The file of a key, out of its Go module. Raises `FailedError` when its digest is another one."""

    def produce(work: Path) -> Mapping[str, DigestedFile]:
        from lab.artifacts.compile import fetch_module
        from lab.artifacts.toolchain import go_toolchain, host_arch

        go = go_toolchain(store, host_arch(), say=say)
        named = f"{file.module}@{file.version}"
        module = fetch_module(go, named, work, store.folder / "logs" / f"{name}.log")
        target = work / f"{name}{file.suffix}"
        shutil.copyfile(module.folder / str(file.path), target)
        if (seen := file_digest(target)) != file.sha256:
            raise FailedError(
                f"{named} {file.path}: sha256 {seen}, pinned is {file.sha256}",
                next_step="compare with `sha256` in the catalogue",
            )
        return {target.name: DigestedFile(target, file.sha256)}

    return store.ensure(file_key(name, file), produce, say=say)
