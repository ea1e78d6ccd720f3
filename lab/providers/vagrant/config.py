"""What the Vagrantfile reads: machines, sizes, networks, boxes and where their seeds lie; plain data."""

from __future__ import annotations

import json
from hashlib import sha256
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.providers.lxc.config import CONTAINER, SYSCTLS
from lab.providers.lxc.network import BRIDGE
from lab.ssh import Keys

VAGRANTFILE = Path(__file__).with_name("Vagrantfile")
LXC_BOX = "plumbline/debian-12"
"""Made by `invoke vagrant.box` from the root filesystem of our own machines."""
BOXES = {os: f"cloud-image/{os}" for os in ("debian-12", "ubuntu-22.04", "ubuntu-24.04")}
"""Canonical's and Debian's own cloud images as boxes for libvirt and VirtualBox: they run cloud-init."""

NETWORKS = {"libvirt": "192.168.121.0/24", "virtualbox": "10.0.2.0/24"}
"""The network of each machine's first card, by which Vagrant reaches it: the backends' own defaults."""


def management_mac(inventory: Inventory, name: str) -> str:
    """MAC of the card by which Vagrant itself reaches a machine: locally administered, derived."""
    digest = sha256(f"{inventory.lab}/{name}/management".encode()).digest()
    return ":".join(f"{byte:02x}" for byte in (0x02, *digest[:5]))


def access(inventory: Inventory, name: str) -> Traits:
    """By what a machine is reached beside the lab's LAN, whatever the backend."""
    networks = tuple(map(IPv4Network, NETWORKS.values()))
    return Traits(networks=networks, management_mac=management_mac(inventory, name))


def machines(inventory: Inventory, keys: Keys, folder: Path) -> str:
    """machines.json as text. `folder` is where the Vagrantfile stands, and below it the seeds."""
    lan = inventory.network.lan
    listed = [_machine(inventory, name, folder) for name in inventory.hosts]
    document = {
        "user": inventory.ssh.user,
        "key": str(keys.identity),
        "network": f"plumbline-{inventory.lab}",
        "netmask": str(lan.netmask),
        "gateway": str(inventory.network.gateway),
        "machines": listed,
    }
    return json.dumps(document, indent=2) + "\n"


def _machine(inventory: Inventory, name: str, folder: Path) -> dict[str, Any]:
    host = inventory.hosts[name]
    box = BOXES[host.os]
    return {
        "name": name,
        "address": str(host.address),
        "mac": inventory.mac(name),
        "management_mac": management_mac(inventory, name),
        "cpus": host.cpus,
        "memory_mib": host.memory_gib * 1024,
        "disk_gib": host.disk_gib,
        "boxes": {"libvirt": box, "virtualbox": box, "lxc": LXC_BOX},
        "seed_iso": str(folder / "seeds" / f"{name}.iso"),
        "lxc": _lxc(inventory, name, folder),
    }


def _lxc(inventory: Inventory, name: str, folder: Path) -> list[tuple[str, str]]:
    """Lines of the container's configuration, without the `lxc.` before each key."""
    seed = folder / "seeds" / name
    return [
        *CONTAINER,
        *(("mount.entry", f"{folder / 'sysctl' / key} proc/sys/{key} none bind 0 0") for key in SYSCTLS),
        ("mount.entry", f"{seed} var/lib/cloud/seed/nocloud none bind,ro,create=dir 0 0"),
        ("net.0.type", "veth"),
        ("net.0.link", BRIDGE),
        ("net.0.hwaddr", inventory.mac(name)),
        ("net.0.name", "eth0"),
        ("net.0.flags", "up"),
    ]
