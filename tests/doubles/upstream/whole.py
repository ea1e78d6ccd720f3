"""Everything that the catalogue fetches, published under the real names: made of what source `modules` built,
laid out as the projects lay it out, with a catalogue whose digests are those of what is published."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from lab.artifacts.choice import source_of
from lab.artifacts.images import StoredImage
from lab.artifacts.rootfs import debian_key
from lab.artifacts.store import Key, Store
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.catalogue.catalogue import Selection
from lab.catalogue.load import files as catalogues
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import Download, Image, Programs, SingleFile
from lab.inventory import load
from lab.render.roles import all_packages
from tests.doubles.upstream.publish import DOCKER, OCI, Publisher
from tests.doubles.upstream.servers import ASSETS, Upstream

ARCHES = ("amd64", "arm64")
FORMS: tuple[tuple[Mapping[str, str], str], ...] = ((OCI, "gzip"), (OCI, "zstd"), (DOCKER, "gzip"))
"""What upstream's images are made as, by turns."""
STORAGE, TOKENS = "production.cloudflare.docker.com", "auth.docker.io"


def selected() -> Selection:
    """What the rehearsal lab wants: what `invoke artifacts` fetches."""
    return load_catalogue().select(wanted(load("rehearsal")))


def real_names() -> dict[str, list[str]]:
    """Names of the servers, by what serves them in `Upstream`."""
    registries, files = {"registry-1.docker.io"}, {ASSETS}
    for component in selected().components.values():
        if isinstance(component, Image):
            registries |= {component.reference.partition("/")[0]} if component.upstream else set()
        elif isinstance(component, SingleFile):
            files |= {str(urlsplit(component.url).hostname)}
        else:
            files |= {str(urlsplit(one.url).hostname) for one in component.upstream.values()}
    return {"registry": sorted(registries), "storage": [STORAGE], "tokens": [TOKENS], "files": sorted(files)}


def publish(upstream: Upstream, store: Store) -> dict[Path, str]:
    """Publish every component for both architectures; gives the texts of the catalogue that pins it, by file.

    What `modules` built for this machine lies in `store`. The other architecture gets the same programs with
    some bytes behind them: they are fetched and checked, never run.
    """
    selection = selected()
    built = source_of("modules", store, selection, host_arch(), print)
    parts = {path: yaml.safe_load(path.read_text()) for path in catalogues()}
    data = {name: one for part in parts.values() for name, one in part["components"].items()}
    with upstream.publishing() as address, ThreadPoolExecutor(os.cpu_count()) as pool:
        publisher = Publisher(address, upstream.folder / "packed")
        pinned = {}
        forms = itertools.cycle(FORMS)
        for item, component in selection.components.items():
            paths = store.paths(built.make(item))
            if isinstance(component, SingleFile):
                [path] = paths.values()
                link(path, served(upstream, component.filled(component.url)))
                continue
            own = data[item.name]["versions"][item.version]
            if isinstance(component, Programs):
                sums = {
                    name: _file(upstream, component, one, paths, pool)
                    for name, one in component.upstream.items()
                }
                for name, digests in sums.items():
                    own["sha256"][name] = {arch: one.result() for arch, one in digests.items()}
            elif component.upstream:
                built_image = StoredImage.of(component.tagged, paths)
                pinned[item] = pool.submit(_image, publisher, built_image, next(forms))
        for item, digest in pinned.items():
            own = data[item.name]["versions"][item.version]
            own.pop("unpinned", None)
            own["digest"] = digest.result()
    return {path: yaml.safe_dump(part, sort_keys=False) for path, part in parts.items()}


def _file(
    upstream: Upstream,
    component: Programs,
    one: Download,
    paths: Mapping[str, Path],
    pool: ThreadPoolExecutor,
) -> dict[str, Any]:
    """Publish one release file for each architecture; its sha256 by architecture, when it is there."""
    return {arch: pool.submit(_release, upstream, component, one, paths, arch) for arch in ARCHES}


def _release(
    upstream: Upstream, component: Programs, one: Download, paths: Mapping[str, Path], arch: str
) -> str:
    values = {"version": component.version, "number": component.number, "arch": arch}
    target = served(upstream, one.url.format(**values))
    if one.program:
        link(paths[one.program], target)
        if arch != host_arch():
            _another(target)
    else:
        with tarfile.open(target, "w:gz", compresslevel=1) as tar:
            for program, member in one.members.items():
                tar.add(paths[program], member.format(**values))
            info = tarfile.TarInfo(f"ARCH-{arch}")
            tar.addfile(info)
    with target.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def served(upstream: Upstream, url: str) -> Path:
    """Where the server of files looks for what a URL names."""
    parts = urlsplit(url)
    target = upstream.folder / "files" / str(parts.hostname) / parts.path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _another(target: Path) -> None:
    """Make a file another one than that of the store which it is a link to."""
    content = target.read_bytes()
    target.unlink()
    target.write_bytes(content + b"for another processor")
    target.chmod(0o755)


def _image(publisher: Publisher, image: StoredImage, form: tuple[Mapping[str, str], str]) -> str:
    """Publish an image for both architectures; gives the digest of its index."""
    config = json.loads(image.config.read_bytes())
    configs = {arch: {**config, "architecture": arch} for arch in ARCHES}
    host, _, rest = image.reference.partition("/")
    assert host in real_names()["registry"] or host == "docker.io"
    repository, _, tag = rest.rpartition(":")
    types, packing = form
    return publisher.image(repository, tag, image.layers, configs, types=types, packing=packing)


def link(source: Path, target: Path) -> None:
    """A hard link, or a copy where that is not possible."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def seed(source: Store, target: Store) -> None:
    """Give a store what no upstream serves: the root filesystem and our own test image, for both."""
    selection = selected()
    ours = [item for item in selection.components if item.name in ("probe-program", "probe")]
    for arch in ARCHES:
        built = source_of("modules", source, selection, arch, print)
        for item in ours:
            built.make(item)
            key = built.key(item)
            assert key
            hand_over(source, target, key)
    key = debian_key(all_packages(), host_arch())
    hand_over(source, target, key)
    target.tree_path(key).symlink_to(source.tree_path(key))


def hand_over(source: Store, target: Store, key: Key) -> None:
    """Copy an entry and its files, time stamps included."""
    entry = source.find(key)
    assert entry, f"{key.name}: invoke artifacts --fetch"
    for file in _files(entry.files.values(), source, target):
        file[1].parent.mkdir(exist_ok=True)
        shutil.copy2(*file)
    name = f"{key.slug}.json"
    shutil.copy2(source.folder / "entries" / name, target.folder / "entries" / name)


def _files(files: Any, source: Store, target: Store) -> Iterator[tuple[Path, Path]]:
    return ((source.object_path(one), target.object_path(one)) for one in files)
