"""Tasks that are called by the name of their group: `invoke vagrant.box`, `invoke proxmox.role`."""

from invoke.collection import Collection

from lab.commands.menu import command


@command("boxes.box")
def box(source: str = "auto") -> None:
    """Make the box of Vagrant's lxc backend and hand it to Vagrant."""


@command("proxmox.role")
def role(inventory: str = "production", version: int = 8) -> None:
    """Print the commands that give the API token the least rights it needs."""


@command("proxmox.templates")
def templates(inventory: str = "production", remove: bool = False) -> None:
    """List the templates of all labs, or remove them."""


GROUPS = (Collection("vagrant", box), Collection("proxmox", role, templates))
