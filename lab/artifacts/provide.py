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
from lab.artifacts.catalogue import Catalogue, Image, load_catalogue
from lab.artifacts.choice import (
    check_arch,
    check_cross,
    choose,
    known_arch,
    placed_programs,
    root_key_of,
)
from lab.artifacts.containerd_root import containerd_root
from lab.artifacts.mounts import take_away
from lab.artifacts.payload import payload_key, payload_tree
from lab.artifacts.rootfs import debian_key, debian_tree
from lab.artifacts.sources import Source
from lab.artifacts.sources.mirror import MirrorSource, missing
from lab.artifacts.sources.modules import IMAGE_TAR, LAYER
from lab.artifacts.sources.registry import Mirrors
from lab.artifacts.status import Row, status
from lab.artifacts.stock import Stock
from lab.artifacts.store import Entry, Say, Store
from lab.errors import InputError

T = TypeVar("T")
# Transfers at a time, beside Debian's part and what is built here.
TRANSFERS = 4

__all__ = ["Provided", "Row", "foreign_stock", "program", "provide", "root_filesystem", "status", "stock"]


@dataclass(frozen=True)
class Provided:
    """The artefacts of a lab. All paths are read-only and shared by every lab of this user.

    `binaries`: program -> file; `images`: reference -> tar; `debian`: root filesystem; `payload`: tree of
    programs that lies above it; `containerd_root`: to be given to each node by `clone_containerd_root`;
    `versions`: component -> version.
    """

    source: str
    arch: str
    versions: Mapping[str, str]
    binaries: Mapping[str, Path]
    images: Mapping[str, Path]
    debian: Path
    payload: Path
    containerd_root: Path


def provide(
    *,
    source: str = "auto",
    arch: str = "amd64",
    packages: Iterable[str] = (),
    mirrors: Mirrors | None = None,
    say: Say,
) -> Provided:
    """Make or find every artefact: about 25 minutes the first time on 2 cores, then under a second.

    `source`: "upstream", "modules", "mirror" or "auto" (then `PLUMBLINE_SOURCE` decides, if set);
    `packages`: Debian packages that roles want in the root filesystem; `mirrors`: registry -> URLs that are
    asked before it. May be interrupted at any time and continues from the last finished component. Raises
    `InputError` for an unknown source or architecture, and what the makers raise.
    """
    check_arch(arch)
    store, catalogue = Store(), load_catalogue()
    take_away(store.folder, say)
    origin = choose(source, store, catalogue, arch, say, mirrors)
    programs.start_anew()
    debian, made = make_all(origin, partial(_debian, store, origin, arch, packages, say))
    binaries, images = _by_name(store, catalogue, made)
    placed = placed_programs(catalogue, made)
    payload = payload_tree(
        store,
        {target: binaries[Path(target).name] for target in placed},
        payload_key(placed, arch),
        say=say,
    )
    root_key = root_key_of(catalogue, made, arch)
    return Provided(
        source=origin.name,
        arch=arch,
        versions={name: component.version for name, component in catalogue.components.items()},
        binaries=binaries,
        images=images,
        debian=debian,
        payload=payload,
        containerd_root=containerd_root(store, images, binaries, root_key, say=say),
    )


def stock(provided: Provided, arch: str, *, mirrors: Mirrors | None = None, say: Say) -> Stock:
    """Programs and images for machines of an architecture, from the same source as everything else."""
    if arch == provided.arch:
        return Stock(provided.binaries, provided.images)
    return foreign_stock(provided.source, arch, mirrors=mirrors, say=say)


def foreign_stock(source: str, arch: str, *, mirrors: Mirrors | None = None, say: Say) -> Stock:
    """Programs and images of another architecture than this machine's: fetched, or cross-compiled.

    Raises `PreflightError`, before anything is made, when this machine lacks what cross-compiling takes.
    """
    known_arch(arch)
    store, catalogue = Store(), load_catalogue()
    origin = choose(source, store, catalogue, arch, say, mirrors)
    if origin.name != MirrorSource.name:
        check_cross(store, catalogue, origin, arch)
    programs.start_anew()
    return Stock(*_by_name(store, catalogue, make_all(origin, lambda: None)[1]))


def program(name: str, *, source: str = "auto", arch: str = "amd64", say: Say) -> Path:
    """One program that machines have (kubectl, say), without making anything else.

    Raises `InputError` when the catalogue has no such program.
    """
    store, catalogue = Store(), load_catalogue()
    owners = [owner for owner, component in catalogue.programs() if name in component.install]
    if not owners:
        raise InputError(f"program: {name!r} is not in the artefact catalogue", next_step="invoke artifacts")
    origin = choose(source, store, catalogue, arch, say)
    return store.paths(origin.make(owners[0]))[name]


def root_filesystem(store: Store, source: str, packages: Iterable[str], arch: str, *, say: Say) -> Path:
    """`debian_tree`, which source mirror has or raises `FailedError` for."""
    if source == MirrorSource.name and not store.find(debian_key(packages, arch)):
        raise missing(["debian"], arch)
    return debian_tree(store, packages, arch, say=say)


def make_all(origin: Source, aside: Callable[[], T]) -> tuple[T, dict[str, Entry]]:
    """Make every component of a source, and something aside; gives its result and the entries by component.

    What is built is built one after the other in the source's order; of what is fetched, `TRANSFERS` and more
    are under way at a time. The first failure ends everything, and so does Ctrl-C.
    """
    stop = threading.Event()
    made: dict[str, Entry] = {}

    def make(names: Iterable[str]) -> None:
        for name in names:
            if not stop.is_set():
                made[name] = origin.make(name)

    names = origin.components()
    built = [name for name in names if not origin.fetched(name)]
    with ThreadPoolExecutor(TRANSFERS + 2) as pool:
        extra = pool.submit(aside)
        parts = [
            pool.submit(make, some) for some in (built, *([name] for name in names if name not in built))
        ]
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
    programs.still_wanted(LAYER)
    if LAYER in origin.components():
        origin.make(LAYER)
    return tree


def _by_name(
    store: Store, catalogue: Catalogue, made: Mapping[str, Entry]
) -> tuple[dict[str, Path], dict[str, Path]]:
    binaries: dict[str, Path] = {}
    images: dict[str, Path] = {}
    for name, component in catalogue.components.items():
        if name not in made:
            continue
        paths = store.paths(made[name])
        if isinstance(component, Image):
            images[component.tagged] = paths[IMAGE_TAR]
        else:
            binaries |= {program: paths[program] for program in component.install}
    return binaries, images
