"""Which source a call uses, and what is known of it before anything is made."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from lab.artifacts.catalogue import Arch, Catalogue, Image, Programs
from lab.artifacts.compile import c_compiler
from lab.artifacts.containerd_root import containerd_root_key
from lab.artifacts.recipes import load_recipe
from lab.artifacts.sources import SOURCES, Source, named_source
from lab.artifacts.sources.mirror import MirrorSource
from lab.artifacts.sources.modules import LAYER, ModulesSource
from lab.artifacts.sources.registry import Mirrors
from lab.artifacts.sources.upstream import UpstreamSource, answers
from lab.artifacts.store import Entry, Key, Say, Store
from lab.artifacts.toolchain import MACHINE, host_arch
from lab.errors import InputError, PreflightError

BINFMT = Path("/proc/sys/fs/binfmt_misc")
"""Where the kernel shows what it runs by an emulator (binfmt_misc)."""


def choose(
    source: str, store: Store, catalogue: Catalogue, arch: str, say: Say, mirrors: Mirrors | None = None
) -> Source:
    """The source to use. `auto`: the one that is complete here already, else upstream if it answers."""
    named = named_source(source)
    if named:
        return source_of(named, store, catalogue, arch, say, mirrors)
    for one in SOURCES:
        candidate = source_of(one, store, catalogue, arch, say, mirrors)
        if len(found(store, candidate)) == len(candidate.components()):
            return candidate
    chosen = "upstream" if answers(catalogue, arch) else "modules"
    say(f"source: {chosen} (upstream {'answers' if chosen == 'upstream' else 'does not answer'})")
    return source_of(chosen, store, catalogue, arch, say, mirrors)


def source_of(
    name: str, store: Store, catalogue: Catalogue, arch: str, say: Say, mirrors: Mirrors | None = None
) -> Source:
    """A source by name; `mirrors` of registries are for the one that pulls images."""
    if name == UpstreamSource.name:
        return UpstreamSource(store, catalogue, arch, say, mirrors)
    kinds = {kind.name: kind for kind in (ModulesSource, MirrorSource)}
    made: Source = kinds[name](store, catalogue, arch, say)
    return made


def found(store: Store, origin: Source) -> dict[str, Entry]:
    """The sound entries of a source's components by name."""
    keys = {name: origin.key(name) for name in origin.components()}
    entries = {name: store.find(key) for name, key in keys.items() if key}
    return {name: entry for name, entry in entries.items() if entry}


def placed_programs(catalogue: Catalogue, made: Mapping[str, Entry]) -> dict[str, str]:
    """Path in a machine -> sha256 of the program that goes there."""
    return {
        f"{folder}/{program}": made[name].files[program].sha256
        for name, component in catalogue.programs()
        for program, folder in component.install.items()
    }


def root_key_of(catalogue: Catalogue, made: Mapping[str, Entry], arch: str) -> Key:
    """The key of the image store that is made of these entries."""
    images = {image.tagged: made[name].digest for name, image in catalogue.images()}
    return containerd_root_key(images, made["containerd"].files["containerd"].sha256, arch)


def known_arch(arch: str) -> None:
    """Refuse an architecture that the catalogue does not know; raises `InputError`."""
    if arch not in get_args(Arch):
        raise InputError(f"arch: {arch!r} is not one of {', '.join(get_args(Arch))}")


def check_cross(store: Store, catalogue: Catalogue, origin: Source, arch: str) -> None:
    """Refuse to make what is missing of another architecture without what that takes.

    Raises `PreflightError` with everything that is not here, before half an hour goes into a part of it.
    """
    have = found(store, origin)
    missing = [
        name
        for name in origin.components()
        if name not in have and origin.origin(name) != UpstreamSource.name
    ]
    lacks = {}
    if LAYER in missing and not (BINFMT / f"qemu-{MACHINE[arch]}").exists():
        why = "the Debian layer under kube-proxy and flannel is installed by running its own programs"
        lacks["qemu-user-static binfmt-support"] = why
    compiler, packages = c_compiler(arch)
    if any(_in_c(catalogue.components.get(name)) for name in missing) and not shutil.which(compiler):
        lacks[packages] = f"{compiler} compiles the one program in C, pause"
    if lacks:
        raise PreflightError(
            f"arch: {arch}: cannot be made on this {host_arch()} machine: {'; '.join(lacks.values())}",
            next_step=f"apt-get install {' '.join(lacks)}, or use --source upstream",
        )


def _in_c(component: Programs | Image | None) -> bool:
    return isinstance(component, Programs) and load_recipe(component.modules).c is not None


def check_arch(arch: str) -> None:
    """Refuse an architecture that this machine cannot run; raises `InputError`."""
    if arch != host_arch():
        raise InputError(
            f"arch: {arch} on a {host_arch()} machine: the root filesystem and the image store are made by "
            "running programs of that architecture",
            next_step=f"use --arch {host_arch()}, or a {arch} machine",
        )
