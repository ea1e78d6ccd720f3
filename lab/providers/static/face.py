"""The face of machines that exist."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.machines import Provider, Traits
from lab.providers.face import Face, Opening
from lab.ssh import Keys, ssh_for


def _open(opening: Opening) -> Provider:
    # slow to import, and rendering needs traits alone
    from lab.hosts.converge import EVIDENCE
    from lab.hosts.release import release
    from lab.providers.static.provider import StaticProvider

    inventory = opening.inventory
    hosts = {name: host for name, host in inventory.hosts.items() if not inventory.makes(name)}
    return StaticProvider(
        inventory.lab,
        hosts,
        inventory.network.lan,
        connect=lambda: ssh_for(inventory, opening.root),
        public_key=lambda: Keys(inventory.lab).own().public,
        release=lambda ssh, name: release(ssh, inventory, name),
        evidence=EVIDENCE,
        enter=opening.enter,
    )


def _traits(inventory: Inventory, name: str) -> Traits:
    """A container says so itself once it is asked."""
    del inventory, name
    return Traits()


FACE = Face(_open, _traits)
