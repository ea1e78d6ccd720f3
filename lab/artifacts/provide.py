"""Everything a lab needs, made or found: the one door to the artefacts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.artifacts import programs
from lab.artifacts.catalogue import Catalogue, Image, load_catalogue
from lab.artifacts.containerd_root import containerd_root, containerd_root_key
from lab.artifacts.payload import payload_key, payload_tree
from lab.artifacts.rootfs import debian_key, debian_tree
from lab.artifacts.sources import Source
from lab.artifacts.sources.modules import IMAGE_TAR, ModulesSource
from lab.artifacts.sources.upstream import UpstreamSource, answers
from lab.artifacts.store import Entry, Key, Say, Store
from lab.artifacts.toolchain import host_arch
from lab.errors import InputError

SOURCES = ("upstream", "modules")


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


@dataclass(frozen=True)
class Row:
    """One line of `invoke artifacts`.

    `state`: present, missing, or broken with what is wrong; `digest`: sha256, "" if missing; `size` in
    bytes.
    """

    component: str
    version: str
    source: str
    digest: str
    state: str
    size: int


def provide(
    *,
    source: str = "auto",
    arch: str = "amd64",
    packages: Iterable[str] = (),
    say: Say,
) -> Provided:
    """Make or find every artefact: about 25 minutes the first time on 2 cores, then under a second.

    `source`: "upstream", "modules" or "auto" (then `PLUMBLINE_SOURCE` decides, if set); `packages`: Debian
    packages that roles want in the root filesystem. May be interrupted at any time and continues from
    the last finished component. Raises `InputError` for an unknown source or architecture, and what the
    makers raise.
    """
    _check_arch(arch)
    store, catalogue = Store(), load_catalogue()
    origin = _choose(source, store, catalogue, arch, say)
    programs.start_anew()
    debian, made = _make_all(store, origin, arch, packages, say)
    binaries, images = _by_name(store, catalogue, made)
    placed = _placed(catalogue, made)
    payload = payload_tree(
        store,
        {target: binaries[Path(target).name] for target in placed},
        payload_key(placed, arch),
        say=say,
    )
    root_key = _root_key(catalogue, made, arch)
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


def program(name: str, *, source: str = "auto", arch: str = "amd64", say: Say) -> Path:
    """One program that machines have (kubectl, say), without making anything else.

    Raises `InputError` when the catalogue has no such program.
    """
    store, catalogue = Store(), load_catalogue()
    owners = [owner for owner, component in catalogue.programs() if name in component.install]
    if not owners:
        raise InputError(f"program: {name!r} is not in the artefact catalogue", next_step="invoke artifacts")
    origin = _choose(source, store, catalogue, arch, say)
    return store.paths(origin.make(owners[0]))[name]


def status(
    *, source: str = "auto", arch: str = "amd64", packages: Iterable[str] = (), full: bool = False
) -> list[Row]:
    """What the store holds of each component; `full` digests every byte. Makes and fetches nothing."""
    _check_arch(arch)
    store, catalogue = Store(), load_catalogue()
    named = _named(source)
    candidates = [_source(one, store, catalogue, arch, _silent) for one in ([named] if named else SOURCES)]
    origin = max(candidates, key=lambda one: len(_found(store, one)))
    rows = []
    for name in origin.components():
        component = catalogue.components.get(name)
        version = component.version if component else ""
        rows.append(_row(store, name, version, origin.origin(name), origin.key(name), full))
    rows.append(_row(store, "debian", "", "debian", debian_key(packages, arch), full))
    made = _found(store, origin)
    if len(made) == len(origin.components()):
        rows.append(
            _row(store, "payload", "", origin.name, payload_key(_placed(catalogue, made), arch), full)
        )
        rows.append(_row(store, "containerd-root", "", origin.name, _root_key(catalogue, made, arch), full))
    return rows


def _row(store: Store, name: str, version: str, source: str, key: Key | None, full: bool) -> Row:
    entry = store.read(key) if key else None
    if not entry:
        return Row(name, version, source, "", "missing", 0)
    damage = store.damage(entry, full=full)
    return Row(name, version, source, entry.digest, f"broken: {damage}" if damage else "present", entry.size)


def _make_all(
    store: Store, origin: Source, arch: str, packages: Iterable[str], say: Say
) -> tuple[Path, dict[str, Entry]]:
    """The root filesystem in one thread (it waits for the network and the disk), all else in another."""
    stop = threading.Event()

    def components() -> dict[str, Entry]:
        made = {}
        for name in origin.components():
            if stop.is_set():
                break
            made[name] = origin.make(name)
        return made

    with ThreadPoolExecutor(2) as pool:
        tree = pool.submit(debian_tree, store, packages, arch, say=say)
        rest = pool.submit(components)
        try:
            running: list[Future[Any]] = [tree, rest]
            for one in wait(running, return_when=FIRST_EXCEPTION).done:
                one.result()
            return tree.result(), rest.result()
        except BaseException:
            stop.set()
            programs.stop_all()
            raise


def _choose(source: str, store: Store, catalogue: Catalogue, arch: str, say: Say) -> Source:
    """The source to use. `auto`: the one that is complete here already, else upstream if it answers."""
    named = _named(source)
    if named:
        return _source(named, store, catalogue, arch, say)
    for one in SOURCES:
        candidate = _source(one, store, catalogue, arch, say)
        if len(_found(store, candidate)) == len(candidate.components()):
            return candidate
    chosen = "upstream" if answers(catalogue, arch) else "modules"
    say(f"source: {chosen} (upstream {'answers' if chosen == 'upstream' else 'does not answer'})")
    return _source(chosen, store, catalogue, arch, say)


def _named(source: str) -> str:
    """The source that the caller or the environment names, "" for auto."""
    wanted = os.environ.get("PLUMBLINE_SOURCE", "auto") if source == "auto" else source
    if wanted not in (*SOURCES, "auto"):
        raise InputError(
            f"source: {wanted!r} is not one of auto, {', '.join(SOURCES)}",
            next_step="unset PLUMBLINE_SOURCE, or name one of them",
        )
    return "" if wanted == "auto" else wanted


def _source(name: str, store: Store, catalogue: Catalogue, arch: str, say: Say) -> Source:
    kind = UpstreamSource if name == "upstream" else ModulesSource
    return kind(store, catalogue, arch, say)


def _found(store: Store, origin: Source) -> dict[str, Entry]:
    """The sound entries of a source's components by name."""
    keys = {name: origin.key(name) for name in origin.components()}
    entries = {name: store.find(key) for name, key in keys.items() if key}
    return {name: entry for name, entry in entries.items() if entry}


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


def _placed(catalogue: Catalogue, made: Mapping[str, Entry]) -> dict[str, str]:
    """Path in a machine -> sha256 of the program that goes there."""
    return {
        f"{folder}/{program}": made[name].files[program].sha256
        for name, component in catalogue.programs()
        for program, folder in component.install.items()
    }


def _root_key(catalogue: Catalogue, made: Mapping[str, Entry], arch: str) -> Key:
    images = {image.tagged: made[name].digest for name, image in catalogue.images()}
    return containerd_root_key(images, made["containerd"].files["containerd"].sha256, arch)


def _check_arch(arch: str) -> None:
    if arch != host_arch():
        raise InputError(
            f"arch: {arch} on a {host_arch()} machine: the root filesystem and the image store are made by "
            "running programs of that architecture",
            next_step=f"use --arch {host_arch()}, or a {arch} machine",
        )


def _silent(_line: str) -> None:
    """Status makes nothing, so there is nothing to say."""
