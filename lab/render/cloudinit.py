"""The NoCloud seed of a host: its first boot does everything a node needs before kubeadm."""

from __future__ import annotations

from hashlib import sha256

from lab.inventory.models import Inventory
from lab.providers.base import Traits
from lab.render.bundle import SYSCTL_FILE, Bundle
from lab.render.templates import render
from lab.ssh import Keys


def seed(inventory: Inventory, traits: Traits, wanted: Bundle, keys: Keys) -> dict[str, str]:
    """user-data, meta-data and network-config of a host, by file name.

    The instance id is the digest of the other two: a change of the seed is a new first boot.
    """
    name = wanted.host
    common = {"inventory": inventory, "name": name}
    user_data = render(
        "cloud-init/user-data",
        **common,
        host_key=keys.host(name),
        authorized_keys=[keys.own().public, *inventory.ssh.authorized_keys],
        install_packages=not traits.shares_kernel,
        # our own root filesystem already holds them, and a lab's network leads nowhere
        packages=[] if traits.shares_kernel else list(wanted.packages),
        files=wanted.files,
        commands=first_boot_commands(wanted),
    )
    network = render(
        "cloud-init/network-config",
        **common,
        mac=inventory.mac(name),
        interface=str(inventory.interface(name)),
        nameservers=[str(server) for server in inventory.nameservers],
    )
    instance = f"{name}-{sha256((user_data + network).encode()).hexdigest()[:16]}"
    return {
        "user-data": user_data,
        "meta-data": render("cloud-init/meta-data", **common, instance_id=instance),
        "network-config": network,
    }


def first_boot_commands(wanted: Bundle) -> list[list[str]]:
    """What the first boot runs after its files are written: kernel settings, then units."""
    started = [unit.name for unit in wanted.units if unit.started_by == "boot"]
    enabled_only = [unit.name for unit in wanted.units if unit.started_by == "kubeadm"]
    commands = [["modprobe", "--all", *wanted.modules]] if wanted.modules else []
    commands += [
        ["sysctl", "--quiet", "--load", SYSCTL_FILE],
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "--quiet", *started, *enabled_only],
        # restart, not start: a package may have started its unit before our file was there
        ["systemctl", "restart", *started],
    ]
    return commands
