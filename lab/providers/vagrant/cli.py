"""vagrant.box: the box of Vagrant's lxc backend."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab.artifacts.provide import root_filesystem
from lab.artifacts.sources import named_source
from lab.artifacts.store import Store
from lab.artifacts.toolchain import host_arch
from lab.commands.session import OF_ARTEFACTS, shown, stopping
from lab.console import Console
from lab.providers.vagrant.box import make_box
from lab.providers.vagrant.commands import VagrantCommands
from lab.providers.vagrant.config import LXC_BOX
from lab.render.roles import all_packages


@shown
def box(source: str) -> None:
    """Pack the root filesystem of our own machines as a box, and add it under its name."""
    with stopping(OF_ARTEFACTS), Console() as console:
        store = Store(say=console.say)
        debian = root_filesystem(store, named_source(source), all_packages(), host_arch(), say=console.say)
        with tempfile.TemporaryDirectory(dir=store.folder) as folder:
            made = make_box(debian, Path(folder))
            size = made.stat().st_size
            VagrantCommands().box_add(LXC_BOX, str(made), provider="lxc", force=True)
        console.say(f"{LXC_BOX}: {size / 2**20:.0f} MiB, added to Vagrant")
