"""Proxmox VE's face."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

from lab.inventory.models import Inventory
from lab.machines import Provider, Traits
from lab.providers.face import Face, Opening
from lab.providers.proxmox.config import TRAITS, fields, hosts_of
from lab.ssh import Keys


def _open(opening: Opening) -> Provider:
    # slow to import, and rendering needs traits alone
    from lab.providers.proxmox.provider import ProxmoxProvider

    return ProxmoxProvider(opening.inventory, report=logging.getLogger("plumbline").warning)


def _traits(inventory: Inventory, name: str) -> Traits:
    del inventory, name  # all are alike
    return TRAITS


def _outputs(inventory: Inventory, keys: Keys) -> Iterator[tuple[str, str]]:
    for name in hosts_of(inventory):
        yield f"{name}/proxmox/config.json", f"{json.dumps(fields(inventory, name, keys), indent=2)}\n"


FACE = Face(_open, _traits, _outputs)
