"""Vagrant's face."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from lab.inventory.models import Inventory
from lab.machines import Provider
from lab.providers.face import Face, Opening
from lab.providers.lxc.network import LabNetwork, bridge_of
from lab.providers.vagrant.config import VAGRANTFILE, access, machines
from lab.providers.vagrant.provider import VagrantProvider
from lab.ssh import Keys


def _open(opening: Opening) -> Provider:
    """The backend is the one that was chosen, else the one of Vagrant's own variable, else the noted one."""
    inventory = opening.inventory
    folder = opening.root / ".lab" / inventory.lab / "vagrant"
    backend = opening.backend or os.environ.get("VAGRANT_DEFAULT_PROVIDER") or noted_backend(folder)
    files = {
        "Vagrantfile": VAGRANTFILE.read_text(),
        "machines.json": machines(inventory, Keys(inventory.lab), folder),
        "backend": f"{backend}\n",
    }
    network = LabNetwork(inventory.lab, folder, bridge_of(inventory)) if backend == "lxc" else None
    traits = {name: access(inventory, name) for name in inventory.hosts}
    return VagrantProvider(folder, backend, files, network, traits)


def noted_backend(folder: Path) -> str:
    """What an earlier build noted down; libvirt before the first."""
    noted = folder / "backend"
    return noted.read_text().strip() if noted.exists() else "libvirt"


def _outputs(inventory: Inventory, keys: Keys) -> Iterator[tuple[str, str]]:
    yield "vagrant/Vagrantfile", VAGRANTFILE.read_text()
    yield "vagrant/machines.json", machines(inventory, keys, Path())


FACE = Face(_open, access, _outputs)
