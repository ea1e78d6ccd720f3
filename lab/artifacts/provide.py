"""Everything a lab needs, made or found: the one door to the artefacts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from lab.artifacts import programs
from lab.artifacts.choice import (
    check_arch,
    check_cross,
    choose,
    known_arch,
    placed_programs,
    root_key_of,
)
from lab.artifacts.containerd_root import containerd_root
from lab.artifacts.images import StoredImage
from lab.artifacts.mounts import take_away
from lab.artifacts.payload import payload_key, payload_tree
from lab.artifacts.rootfs import debian_key, debian_tree
from lab.artifacts.sources import Mirrors, Source
from lab.artifacts.sources.mirror import MirrorSource, missing
from lab.artifacts.sources.modules import LAYER
from lab.artifacts.status import StatusRow, status
from lab.artifacts.stock import Stock
from lab.artifacts.store import Entry, Say, Store
from lab.catalogue.catalogue import Selection
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import ComponentVersion
from lab.errors import InputError

T = TypeVar("T")
# Transfers at a time, beside Debian's part and what is built here.
TRANSFERS = 4

__all__ = [
    "Provided",
    "StatusRow",
    "foreign_stock",
    "program",
    "provide",
    "root_filesystem",
    "status",
    "stock",
]


@dataclass(frozen=True)
class Provided:
    """The artefacts of a lab. All paths are read-only and shared by every lab of this user.

    `binaries`: program -> file; `images` by reference; `debian`: root filesystem; `payload`: tree of
    programs that lies above it; `containerd_root`: the seed of each node's own (`lab.machines.Volume`).
    """

    source: str
    arch: str
    binaries: Mapping[str, Path]
    images: Mapping[str, StoredImage]
    debian: Path
    payload: Path
    containerd_root: Path


Wanted = Iterable[tuple[str, str]]
"""Components of the catalogue by name, each in one version."""


def provide(
    wanted: Wanted,
    *,
    source: str = "auto",
    arch: str = "amd64",
    packages: Iterable[str] = (),
    mirrors: Mirrors | None = None,
    say: Say,
) -> Provided:
    """Make or find what a lab wants: about 25 minutes the first time on 2 cores, then under a second.

    Nothing is made that is not wanted, and everything is kept by its version: two labs with two versions of
    one component have an image store each. `source`: "upstream", "modules", "mirror" or "auto" (then
    `PLUMBLINE_SOURCE` decides, if set); `packages`: Debian packages that roles want in the root filesystem;
    `mirrors`: registry -> URLs that are asked before it. May be interrupted at any time and continues from
    the last finished component. Raises `InputError` for an unknown source, architecture, component or version
    and for what the source does not have, and what the makers raise.
    """
    check_arch(arch)
    store, selection = Store(say=say), load_catalogue().select(wanted)
    take_away(store.folder, say)
    store.sweep()
    origin = choose(source, store, selection, arch, say, mirrors)
    programs.start_anew()
    debian, made = make_all(origin, partial(_debian, store, origin, arch, packages, say))
    binaries, images = _by_name(store, selection, made)
    placed = placed_programs(selection, made)
    payload = payload_tree(
        store,
        {target: binaries[Path(target).name] for target in placed},
        payload_key(placed, arch),
        say=say,
    )
    root_key = root_key_of(selection, made, arch)
    return Provided(
        source=origin.name,
        arch=arch,
        binaries=binaries,
        images=images,
        debian=debian,
        payload=payload,
        containerd_root=containerd_root(store, images, binaries, root_key, say=say),
    )


def stock(
    provided: Provided, wanted: Wanted, arch: str, *, mirrors: Mirrors | None = None, say: Say
) -> Stock:
    """Programs and images for machines of an architecture, from the same source as everything else."""
    if arch == provided.arch:
        return Stock(provided.binaries, provided.images)
    return foreign_stock(wanted, provided.source, arch, mirrors=mirrors, say=say)


def foreign_stock(
    wanted: Wanted, source: str, arch: str, *, mirrors: Mirrors | None = None, say: Say
) -> Stock:
    """Programs and images of another architecture than this machine's: fetched, or cross-compiled.

    Raises `PreflightError`, before anything is made, when this machine lacks what cross-compiling takes.
    """
    known_arch(arch)
    store, selection = Store(say=say), load_catalogue().select(wanted)
    origin = choose(source, store, selection, arch, say, mirrors)
    if origin.name != MirrorSource.name:
        check_cross(store, selection, origin, arch)
    programs.start_anew()
    return Stock(*_by_name(store, selection, make_all(origin, lambda: None)[1]))


def program(name: str, wanted: Wanted, *, source: str = "auto", arch: str = "amd64", say: Say) -> Path:
    """One program of those that a lab wants (kubectl, promtool), without making anything else.

    Raises `InputError` when the lab wants no such program.
    """
    store, selection = Store(say=say), load_catalogue().select(wanted)
    owners = [item for item, component in selection.named() if name in component.named]
    if not owners:
        raise InputError(f"program: {name} is none of those of the lab", next_step="invoke artifacts")
    origin = choose(source, store, selection, arch, say)
    return store.paths(origin.make(owners[0]))[name]


def root_filesystem(store: Store, source: str, packages: Iterable[str], arch: str, *, say: Say) -> Path:
    """`debian_tree`, which source mirror has or raises `FailedError` for."""
    if source == MirrorSource.name and not store.find(debian_key(packages, arch)):
        raise missing(["debian"], arch)
    return debian_tree(store, packages, arch, say=say)


def make_all(origin: Source, aside: Callable[[], T]) -> tuple[T, dict[ComponentVersion, Entry]]:
    """Make every component of a source, and something aside; gives its result and the entries by component.

    What is built is built one after the other in the source's order; of what is fetched, `TRANSFERS` and more
    are under way at a time. The first failure ends everything, and so does Ctrl-C.
    """
    stop = threading.Event()
    made: dict[ComponentVersion, Entry] = {}

    def make(items: Iterable[ComponentVersion]) -> None:
        for item in items:
            if not stop.is_set():
                made[item] = origin.make(item)

    items = origin.components()
    built = [item for item in items if not origin.fetched(item)]
    # What takes longest stands first and last in the catalogue (the programs of Kubernetes, Traefik's image):
    # what begins last should be short, since nothing else goes on beside it.
    fetched = [item for item in (*items[:1], *reversed(items[1:])) if item not in built]
    with ThreadPoolExecutor(TRANSFERS + 2) as pool:
        extra = pool.submit(aside)
        parts = [pool.submit(make, some) for some in (built, *([item] for item in fetched))]
        try:
            running: list[Future[Any]] = [extra, *parts]
            for one in wait(running, return_when=FIRST_EXCEPTION).done:
                one.result()
            return extra.result(), made
        except BaseException:
            stop.set()
            programs.stop_all()
            raise


def _debian(store: Store, origin: Source, arch: str, packages: Iterable[str], say: Say) -> Path:
    """Debian's part, which waits for the network and the disk: the tree of machines, and that of images."""
    tree = root_filesystem(store, origin.name, packages, arch, say=say)
    programs.still_wanted(LAYER.name)
    if LAYER in origin.components():
        origin.make(LAYER)
    return tree


def _by_name(
    store: Store, selection: Selection, made: Mapping[ComponentVersion, Entry]
) -> tuple[dict[str, Path], dict[str, StoredImage]]:
    """Programs by name and images by reference."""
    binaries: dict[str, Path] = {}
    for item, component in selection.installed():
        paths = store.paths(made[item])
        binaries |= {program: paths[program] for program in component.install}
    images = [StoredImage.of(image.tagged, store.paths(made[item])) for item, image in selection.images()]
    return binaries, {image.reference: image for image in images}
