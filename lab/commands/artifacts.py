"""artifacts: what the platform is made of, and where it comes from; and all of it as one file."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from json import dumps
from pathlib import Path

from rich.console import Console as RichConsole
from rich.table import Table

from lab.artifacts.bundle import fetch_wheels, write
from lab.artifacts.choice import source_of
from lab.artifacts.provide import foreign_stock, provide, status
from lab.artifacts.rootfs import debian_key
from lab.artifacts.store import Entry, Say, Store
from lab.artifacts.toolchain import host_arch
from lab.artifacts.unbundle import take
from lab.artifacts.wanted import wanted
from lab.catalogue.load import load_catalogue
from lab.commands.session import read, shown
from lab.console import Console
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.providers.opening import stocked
from lab.render.roles import all_packages


@shown
def show(inventory: str, provider: str, source: str, arch: str, fetch: bool, json: bool) -> None:
    """Show each component that the lab wants; with `fetch`, bring what is missing first, by the registry
    mirrors of its inventory."""
    lab = read(inventory, provider)
    items, mirrors, arch = wanted(lab), lab.containerd.mirrors, arch or host_arch()
    if fetch:
        with Console() as console:
            if arch == host_arch():
                provide(items, source=source, packages=all_packages(), mirrors=mirrors, say=console.say)
            else:
                foreign_stock(items, source, arch, mirrors=mirrors, say=console.say)
    rows = status(items, source=source, arch=arch, packages=all_packages())
    if json:
        print(dumps([asdict(row) for row in rows], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for title in ("component", "version", "source", "digest", "MiB", "state"):
        table.add_column(title, no_wrap=title != "state", justify="right" if title == "MiB" else "left")
    for row in rows:
        size = f"{row.size / 2**20:.1f}" if row.size else ""
        state = f"{row.state}; {row.note}" if row.note else row.state
        table.add_row(row.component, row.version, row.source, row.digest[:12], size, state)
    RichConsole().print(table)


@shown
def bundle(inventory: str, provider: str, source: str, to: str, from_: str) -> None:
    """Write everything an inventory needs into one file, or fill the store from one."""
    if bool(to) == bool(from_):
        raise InputError(
            "artifacts.bundle: takes either --to FILE or --from FILE",
            next_step="invoke --help artifacts.bundle",
        )
    with Console() as console:
        if to:
            _write(read(inventory, provider), source, Path(to).absolute(), console.say)
            return
        listing, digest = take(Store(), Path(from_), say=console.say)
        console.say(f"{len(listing.entries)} artefacts are in the store; list of digests: sha256 {digest}")


def _write(inventory: Inventory, source: str, target: Path, say: Say) -> None:
    if target.exists() or not target.parent.is_dir():
        why = "is there already" if target.exists() else "its folder does not exist"
        raise InputError(f"--to {target}: {why}", next_step="name a new file in a folder that exists")
    items, mirrors = wanted(inventory), inventory.containerd.mirrors
    made = provide(items, source=source, arch=host_arch(), packages=all_packages(), mirrors=mirrors, say=say)
    for arch in stocked(inventory):
        if arch.value != made.arch:
            foreign_stock(items, made.source, arch.value, mirrors=mirrors, say=say)
    store = Store()
    entries = _needed(store, inventory, made.source)
    with tempfile.TemporaryDirectory(prefix="plumbline-") as folder:
        wheels = fetch_wheels(Path(folder), say=say)
        digest = write(store, entries, wheels, target, say=say)
    size = target.stat().st_size / 2**20
    say(f"{target}: {size:.0f} MiB, {len(entries)} artefacts and {len(wheels)} wheels of Python")
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
