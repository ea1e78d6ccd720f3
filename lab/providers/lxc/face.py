"""The embedded provider's face."""

from __future__ import annotations

import os
from pathlib import Path

from lab.inventory.models import Inventory
from lab.machines import Provider, Traits
from lab.providers.face import Face, Opening
from lab.providers.lxc.network import bridge_of
from lab.providers.lxc.provider import LxcProvider, traits

MACHINES = Path("/var/lib/plumbline")
"""Rights and owners of the machines' files matter, so they do not lie below a home folder."""


def _open(opening: Opening) -> Provider:
    inventory = opening.inventory
    home = Path(os.environ.get("PLUMBLINE_MACHINES") or MACHINES).absolute() / inventory.lab
    return LxcProvider(inventory.lab, home, bridge_of(inventory), opening.layers)


def _traits(inventory: Inventory, name: str) -> Traits:
    del inventory, name  # all are alike
    return traits()


FACE = Face(_open, _traits)
