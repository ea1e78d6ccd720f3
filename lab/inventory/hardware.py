"""What a machine is made of."""

from __future__ import annotations

from lab.inventory.models import Host, Inventory


def is_raspberry_pi(host: Host) -> bool:
    """Whether a machine is a Raspberry Pi of any model; `hardware` names the model."""
    return host.hardware.startswith("raspberry-pi")


def raspberry_pis(inventory: Inventory) -> tuple[str, ...]:
    """Names of the lab's Raspberry Pis, in the order of the file."""
    return tuple(name for name, host in inventory.hosts.items() if is_raspberry_pi(host))
