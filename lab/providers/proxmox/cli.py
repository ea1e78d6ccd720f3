"""proxmox.role and proxmox.templates: what Proxmox VE must be told, and what it keeps for all labs."""

from __future__ import annotations

from lab.commands.session import read, session, shown
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.providers.proxmox.provider import ProxmoxProvider
from lab.providers.proxmox.rights import AGENT_RIGHT, needs, role_commands
from lab.providers.proxmox.section import Proxmox


@shown
def role(inventory: str, version: int) -> None:
    """Print the commands that give the token its rights; no API is asked, for it may not be there yet."""
    if version not in AGENT_RIGHT:
        known = " or ".join(map(str, AGENT_RIGHT))
        raise InputError(
            f"--version {version}: must be {known}",
            next_step=f"invoke proxmox.role --version {max(AGENT_RIGHT)}",
        )
    found = read(inventory)
    settings = _settings(found)
    print("\n".join(role_commands(needs(found, settings, version), settings.token)))


@shown
def templates(inventory: str, remove: bool) -> None:
    """List the templates that were made here, or remove all of them."""
    with session("proxmox.templates", inventory) as opened:
        _settings(opened.inventory)
        provider = ProxmoxProvider(opened.inventory, report=opened.console.say)
        if remove:
            for line in provider.templates.remove():
                opened.console.say(f"removed {line}")
        for image, rows in provider.fleet.templates().items():
            for row in rows:
                state = "ready" if row.template else "unfinished"
                opened.console.say(f"{image}: machine {row.vmid} on {row.node}: {state}")


def _settings(inventory: Inventory) -> Proxmox:
    settings = inventory.find(Proxmox)
    if settings is None:
        raise InputError(f"{inventory.lab}: has no section proxmox", next_step="-i production, for instance")
    return settings
