"""Vagrant's own command."""

from __future__ import annotations

from lab.commands.menu import task
from lab.commands.options import SOURCE

MENU = (
    task(
        "lab.providers.vagrant.cli.box",
        "Make the box of Vagrant's lxc backend and hand it to Vagrant.",
        SOURCE,
    ),
)
