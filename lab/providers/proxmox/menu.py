"""Proxmox VE's own commands."""

from __future__ import annotations

from lab.commands.menu import task
from lab.commands.options import INVENTORY, Option

PRODUCTION = Option("inventory", INVENTORY.meaning, "production")
MENU = (
    task(
        "lab.providers.proxmox.cli.role",
        "Print the commands that give the API token the least rights it needs.",
        PRODUCTION,
        Option("version", "major version of Proxmox VE: 8 or 9", 8),
    ),
    task(
        "lab.providers.proxmox.cli.templates",
        "List the templates of all labs, or remove them.",
        PRODUCTION,
        Option("remove", "remove them all; one with linked clones is refused", False),
    ),
)
