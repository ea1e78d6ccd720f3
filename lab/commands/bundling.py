"""artifacts.bundle: everything that an inventory needs as one file."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from lab.artifacts.bundle import fetch_wheels, try_out, write
from lab.artifacts.choice import source_of
from lab.artifacts.provide import foreign_stock, provide
from lab.artifacts.rootfs import debian_key
from lab.artifacts.store import Entry, Say, Store
from lab.artifacts.toolchain import host_arch
from lab.artifacts.unbundle import take
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.commands.session import OF_ARTEFACTS, read, shown, stopping
from lab.console import Console
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.providers.opening import stocked
from lab.render.roles import all_packages


@shown
def bundle(inventory: str, provider: str, source: str, to: str, from_: str) -> None:
    """Write everything an inventory needs into one file, or fill the store from one."""
    if bool(to) == bool(from_):
        raise InputError(
            "artifacts.bundle: takes either --to FILE or --from FILE",
            next_step="invoke --help artifacts.bundle",
        )
    with stopping(OF_ARTEFACTS), Console() as console:
        if to:
            _write(read(inventory, provider), source, Path(to).absolute(), console.say)
            return
        listing, digest = take(Store(say=console.say), Path(from_), say=console.say)
        console.say(f"{len(listing.entries)} artefacts are in the store; list of digests: sha256 {digest}")


def _write(inventory: Inventory, source: str, target: Path, say: Say) -> None:
    try_out(target)
    items, mirrors = wanted(inventory), inventory.containerd.mirrors
    made = provide(items, source=source, arch=host_arch(), packages=all_packages(), mirrors=mirrors, say=say)
    for arch in stocked(inventory):
        if arch.value != made.arch:
            foreign_stock(items, made.source, arch.value, mirrors=mirrors, say=say)
    store = Store(say=say)
    entries = _needed(store, inventory, made.source)
    wheels = partial(fetch_wheels, log=store.folder / "logs" / "wheels.log", say=say)
    listing, digest = write(store, entries, wheels, target, say=say)
    size = target.stat().st_size / 2**20
    counts = f"{len(listing.entries)} artefacts and {len(listing.wheels)} wheels of Python"
    say(f"{target}: {size:.0f} MiB, {counts}")
    say(f"list of digests: sha256 {digest}")


def _needed(store: Store, inventory: Inventory, source: str) -> list[Entry]:
    """The entries behind an inventory: all that it wants, for each architecture that it has and for this
    machine (kubectl, and the root filesystem that judges what is rendered)."""
    selection = load_catalogue().select(wanted(inventory))
    keys = [debian_key(all_packages(), host_arch())]
    for arch in dict.fromkeys([host_arch(), *(arch.value for arch in stocked(inventory))]):
        origin = source_of(source, store, selection, arch, lambda _line: None)
        keys += [key for item in origin.components() for key in origin.behind(item)]
    return [entry for key in dict.fromkeys(keys) if (entry := store.find(key))]
