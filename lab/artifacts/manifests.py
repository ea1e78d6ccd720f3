"""Upstream's manifests of the add-ons: the same bytes from the Go module or from the project's own URL."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints

from lab.artifacts.catalogue import RECIPES
from lab.artifacts.compile import fetch_module
from lab.artifacts.digests import file_digest
from lab.artifacts.store import Entry, Key, Say, Store
from lab.artifacts.toolchain import go_toolchain, host_arch
from lab.errors import FailedError

MANIFESTS = RECIPES / "manifests.yaml"


class Manifest(BaseModel):
    """One manifest: where it lies in its module, where its project serves it, and its digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    module: str
    file: str
    url: str
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


def load_manifests() -> dict[str, Manifest]:
    """All manifests by name."""
    return {
        name: Manifest.model_validate(data) for name, data in yaml.safe_load(MANIFESTS.read_text()).items()
    }


def manifest_key(name: str, manifest: Manifest) -> Key:
    """The digest alone decides: both sources give the same file."""
    return Key.of(name, "any", {"sha256": manifest.sha256})


def from_module(store: Store, name: str, manifest: Manifest, *, say: Say) -> Entry:
    """The manifest out of its Go module. Raises `FailedError` when its digest is not the pinned one."""

    def produce(work: Path) -> Mapping[str, Path]:
        go = go_toolchain(store, host_arch(), say=say)
        module = fetch_module(go, manifest.module, work, store.folder / "logs" / f"{name}.log")
        target = work / f"{name}.yaml"
        shutil.copyfile(module.folder / manifest.file, target)
        seen = file_digest(target)
        if seen != manifest.sha256:
            raise FailedError(
                f"{manifest.module} {manifest.file}: sha256 {seen}, pinned is {manifest.sha256}",
                next_step=f"compare with {MANIFESTS}",
            )
        return {target.name: target}

    return store.ensure(manifest_key(name, manifest), produce, say=say)


def provide_manifests(source: str, *, say: Say) -> dict[str, Path]:
    """All manifests by name, as files of the store."""
    store = Store()
    entries = {
        name: from_module(store, name, manifest, say=say) for name, manifest in load_manifests().items()
    }
    return {name: store.paths(entry)[f"{name}.yaml"] for name, entry in entries.items()}
