"""Every file that an inventory stands for, by path: what `invoke render` writes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import yaml

from lab.addons import selected
from lab.inventory.hardware import is_raspberry_pi
from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.own_yaml import DUMPER
from lab.render import kubeadm
from lab.render.addons import objects
from lab.render.bundle import Pins, bundle
from lab.render.cloudinit import first_boot
from lab.render.kubeadm import JoinSecrets
from lab.ssh import Keys

PLACEHOLDER = JoinSecrets("abcdef.0123456789abcdef", f"sha256:{'0' * 64}", "0" * 64)
"""Stands where a join's secrets go: they are made on the cluster right before it and kept nowhere."""


def host_outputs(
    inventory: Inventory, traits: Traits, pins: Pins, keys: Keys, name: str
) -> Iterator[tuple[str, str]]:
    """Every file of one host: `root/` as on the host, its first boot, and kubeadm's documents."""
    wanted = bundle(inventory, traits, pins, name)
    for file in wanted.files:
        yield f"{name}/root{file.path}", file.text
    folder = "system-boot" if is_raspberry_pi(inventory.hosts[name]) else "cloud-init"
    for file_name, text in first_boot(inventory, traits, wanted, keys).items():
        yield f"{name}/{folder}/{file_name}", text
    if name in inventory.nodes:
        yield f"{name}/kubeadm/join.yaml", kubeadm.join(inventory, traits, pins, name, PLACEHOLDER)
        yield f"{name}/kubeadm/reset.yaml", kubeadm.reset(inventory, traits)
        yield f"{name}/kubeadm/upgrade.yaml", kubeadm.upgrade(inventory, traits)
    if name in inventory.masters:
        yield f"{name}/kubeadm/init.yaml", kubeadm.init(inventory, traits, pins, name)


SEEDS = ("cloud-init", "system-boot")
"""Folders of a host that hold its first boot."""


def is_seed(path: str) -> bool:
    """Whether a file holds a host's first boot, and with it the host's own key."""
    return path.split("/")[1] in SEEDS


def cluster_outputs(inventory: Inventory, manifests: Mapping[str, Path]) -> Iterator[tuple[str, str]]:
    """The objects of each add-on, a file an add-on."""
    for addon in (item for item in selected(inventory) if item.in_cluster):
        items = objects(inventory, addon, manifests)
        yield f"cluster/{addon.name}.yaml", yaml.dump_all(items, Dumper=DUMPER, sort_keys=False)


def everything(
    inventory: Inventory,
    traits: Mapping[str, Traits],
    pins: Pins,
    keys: Keys,
    manifests: Mapping[str, Path],
    provider_files: Iterable[tuple[str, str]] = (),
) -> Iterator[tuple[str, str]]:
    """Every file of the inventory; `traits` by host, `provider_files` are those of its providers by path."""
    for name in inventory.hosts:
        yield from host_outputs(inventory, traits[name], pins, keys, name)
    yield from provider_files
    yield from cluster_outputs(inventory, manifests)
