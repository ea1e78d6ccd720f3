"""Which source a call uses, and what is known of it before anything is made."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import get_args

from lab.artifacts.containerd_root import containerd_root_key
from lab.artifacts.sources import SOURCES, Mirrors, Source, named_source
from lab.artifacts.sources.mirror import MirrorSource
from lab.artifacts.sources.modules import LAYER, ModulesSource, unbuilt
from lab.artifacts.sources.upstream import UpstreamSource, answers
from lab.artifacts.store import Entry, Key, Say, Store
from lab.artifacts.toolchain import MACHINE, host_arch
from lab.catalogue.catalogue import Selection
from lab.catalogue.model import AnyVersion, Arch, ComponentVersion, Programs
from lab.errors import InputError, PreflightError

BINFMT = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel shows what it runs by an emulator (binfmt_misc)."""


def choose(
    source: str, store: Store, selection: Selection, arch: str, say: Say, mirrors: Mirrors | None = None
) -> Source:
    """The source to use. `auto`: the one that is complete here already, else upstream if it answers.

    Raises `InputError` when source modules is chosen, or is all there is, and the lab wants what is not built
    here.
    """
    named = named_source(source)
    if not named:
        for one in SOURCES:
            candidate = source_of(one, store, selection, arch, say, mirrors)
            if complete(selection, candidate, found(store, candidate)):
                return candidate
        named = "upstream" if answers(selection, arch) else "modules"
        say(f"source: {named} (upstream {'answers' if named == 'upstream' else 'does not answer'})")
    if named == ModulesSource.name:
        for item, component in selection.components.items():
            if component.unbuilt:
                raise unbuilt(item, component.unbuilt)
    return source_of(named, store, selection, arch, say, mirrors)


def source_of(
    name: str, store: Store, selection: Selection, arch: str, say: Say, mirrors: Mirrors | None = None
) -> Source:
    """A source by name; `mirrors` of registries are for the one that pulls images."""
    if name == UpstreamSource.name:
        return UpstreamSource(store, selection, arch, say, mirrors)
    kinds = {kind.name: kind for kind in (ModulesSource, MirrorSource)}
    made: Source = kinds[name](store, selection, arch, say)
    return made


def found(store: Store, origin: Source) -> dict[ComponentVersion, Entry]:
    """The sound entries of a source's components."""
    keys = {item: origin.key(item) for item in origin.components()}
    entries = {item: store.find(key) for item, key in keys.items() if key}
    return {item: entry for item, entry in entries.items() if entry}


def complete(selection: Selection, origin: Source, here: Collection[ComponentVersion]) -> bool:
    """Whether a source has all `here`; single files do not count, both sources have the same ones."""
    missing = {*origin.components()} - {*here}
    return missing <= {item for item, _ in selection.files()}


def placed_programs(selection: Selection, made: Mapping[ComponentVersion, Entry]) -> dict[str, str]:
    """Path in a machine -> sha256 of the program that goes there.

    Raises `InputError` for two versions of one program: a machine has one.
    """
    owners: dict[str, ComponentVersion] = {}
    placed = {}
    for item, component in selection.installed():
        for program, folder in component.install.items():
            if (other := owners.setdefault(program, item)) != item:
                raise InputError(f"{program}: of both {other} and {item}, and a machine has one")
            placed[f"{folder}/{program}"] = made[item].files[program].sha256
    return placed


def root_key_of(selection: Selection, made: Mapping[ComponentVersion, Entry], arch: str) -> Key:
    """The key of the image store that is made of these entries.

    Raises `InputError` without a containerd, which imports them.
    """
    importers = [made[item].files for item, _ in selection.installed() if item.name == "containerd"]
    if not importers:
        raise InputError("containerd: is not wanted, and an image store is made by it")
    images = {image.tagged: made[item].digest for item, image in selection.images()}
    return containerd_root_key(images, importers[0]["containerd"].sha256, arch)


def known_arch(arch: str) -> None:
    """Refuse an architecture that the catalogue does not know; raises `InputError`."""
    if arch not in get_args(Arch):
        raise InputError(
            f"--arch {arch}: is not one of {', '.join(get_args(Arch))}",
            next_step=f"invoke artifacts --arch {host_arch()}",
        )


def check_cross(store: Store, selection: Selection, origin: Source, arch: str) -> None:
    """Refuse to make what is missing of another architecture without what that takes.

    Raises `PreflightError` with everything that is not here, before half an hour goes into a part of it.
    """
    # whoever makes nothing for another architecture needs neither this nor recipes
    from lab.artifacts.compile import c_compiler

    have = found(store, origin)
    missing = [
        item
        for item in origin.components()
        if item not in have and origin.origin(item) != UpstreamSource.name
    ]
    lacks = {}
    if LAYER in missing and not (BINFMT / f"qemu-{MACHINE[arch]}").exists():
        why = "the Debian layer under some images is installed by running its own programs"
        lacks["qemu-user-static binfmt-support"] = why
    compiler, packages = c_compiler(arch)
    if any(_in_c(selection.components.get(item)) for item in missing) and not shutil.which(compiler):
        lacks[packages] = f"{compiler} compiles the one program in C, pause"
    if lacks:
        raise PreflightError(
            f"arch: {arch}: cannot be made on this {host_arch()} machine: {'; '.join(lacks.values())}",
            next_step=f"apt-get install {' '.join(lacks)}, or use --source upstream",
        )


def _in_c(component: AnyVersion | None) -> bool:
    if not isinstance(component, Programs) or not component.modules:
        return False
    from lab.artifacts.recipes import load_recipe

    return load_recipe(component.modules).c is not None


def check_arch(arch: str) -> None:
    """Refuse an architecture that this machine cannot run; raises `InputError`."""
    if arch != host_arch():
        raise InputError(
            f"arch: {arch} on a {host_arch()} machine: the root filesystem and the image store are made by "
            "running programs of that architecture",
            next_step=f"use --arch {host_arch()}, or a {arch} machine",
        )
