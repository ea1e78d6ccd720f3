"""vagrant.box: the box of Vagrant's lxc backend."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lab.artifacts.provide import provide
from lab.artifacts.store import cache_folder
from lab.commands.session import shown
from lab.console import Console
from lab.local import run
from lab.providers.vagrant.box import SECONDS, make_box
from lab.providers.vagrant.config import LXC_BOX
from lab.render.roles import all_packages


@shown
def box(source: str) -> None:
    """Pack the root filesystem of our own machines as a box, and add it under its name."""
    with Console() as console:
        provided = provide(source=source, packages=all_packages(), say=console.say)
        with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
            made = make_box(provided.debian, Path(folder))
            size = made.stat().st_size
            add = ["vagrant", "box", "add", "--force", "--provider", "lxc", "--name", LXC_BOX, str(made)]
            run(add, timeout=SECONDS)
        console.say(f"{LXC_BOX}: {size / 2**20:.0f} MiB, added to Vagrant")
