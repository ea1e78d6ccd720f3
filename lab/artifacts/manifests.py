"""Upstream's manifests of the add-ons: the same bytes from the Go module or from the project's own URL.

Rendering needs them each time and makes them once, so what makes them is imported when it is needed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from lab import proxies
from lab.artifacts.catalogue import RECIPES, load_catalogue
from lab.artifacts.digests import file_digest
from lab.artifacts.sources import named_source
from lab.artifacts.store import Key, Say, Store
from lab.errors import FailedError
from lab.own_yaml import read

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
    return {name: Manifest.model_validate(data) for name, data in read(MANIFESTS.read_text()).items()}


def manifest_key(name: str, manifest: Manifest) -> Key:
    """The digest alone decides: both sources give the same file."""
    return Key.of(name, "any", {"sha256": manifest.sha256})


def provide_manifests(source: str, names: Iterable[str], *, say: Say) -> dict[str, Path]:
    """The named manifests, as files of the store, from `upstream` or out of their Go `modules` (or `auto`).

    Raises `FailedError` when a manifest does not have its pinned digest.
    """
    named_source(source)  # a word that means nothing is refused, whether or not it is needed this time
    store, known = Store(), load_manifests()
    return {name: _ensure(store, name, known[name], source, say) for name in names}


def _ensure(store: Store, name: str, manifest: Manifest, source: str, say: Say) -> Path:
    def produce(work: Path) -> Mapping[str, Path]:
        from lab.artifacts.choice import choose
        from lab.artifacts.sources.fetch import fetch
        from lab.artifacts.sources.mirror import missing
        from lab.artifacts.toolchain import host_arch

        target = work / f"{name}{_suffix(manifest)}"
        # decided here, because it costs time and a file that is at hand needs no source
        chosen = choose(source, store, load_catalogue(), host_arch(), say).name
        if chosen == "mirror":
            raise missing([name], "any")
        if chosen == "upstream":
            with proxies.fetching():
                fetch(manifest.url, manifest.sha256, target, say=say)
        else:
            _out_of_module(store, name, manifest, target, say)
        return {target.name: target}

    entry = store.ensure(manifest_key(name, manifest), produce, say=say)
    return store.paths(entry)[f"{name}{_suffix(manifest)}"]


def _suffix(manifest: Manifest) -> str:
    return ".json" if manifest.file.endswith(".json") else ".yaml"


def _out_of_module(store: Store, name: str, manifest: Manifest, target: Path, say: Say) -> None:
    from lab.artifacts.compile import fetch_module
    from lab.artifacts.toolchain import go_toolchain, host_arch

    go = go_toolchain(store, host_arch(), say=say)
    module = fetch_module(go, manifest.module, target.parent, store.folder / "logs" / f"{name}.log")
    shutil.copyfile(module.folder / manifest.file, target)
    seen = file_digest(target)
    if seen != manifest.sha256:
        raise FailedError(
            f"{manifest.module} {manifest.file}: sha256 {seen}, pinned is {manifest.sha256}",
            next_step=f"compare with {MANIFESTS}",
        )
