"""artifacts: what the platform is made of, and where it comes from."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps

from rich.console import Console as RichConsole
from rich.table import Table

from lab.artifacts.provide import foreign_stock, provide, status
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted
from lab.commands.session import OF_ARTEFACTS, aside, read, shown, stopping
from lab.console import Console
from lab.render.roles import all_packages


@shown
def show(inventory: str, provider: str, source: str, arch: str, fetch: bool, json: bool) -> None:
    """Show each component that the lab wants; with `fetch`, bring what is missing first, by the registry
    mirrors of its inventory."""
    lab = read(inventory, provider)
    items, mirrors, arch = wanted(lab), lab.containerd.mirrors, arch or host_arch()
    if fetch:
        with stopping(OF_ARTEFACTS), Console() as console:
            if arch == host_arch():
                provide(items, source=source, packages=all_packages(), mirrors=mirrors, say=console.say)
            else:
                foreign_stock(items, source, arch, mirrors=mirrors, say=console.say)
    rows = status(items, source=source, arch=arch, packages=all_packages(), say=aside)
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
