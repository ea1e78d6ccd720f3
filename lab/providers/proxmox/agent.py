"""What the agent inside a machine says about its addresses: evidence when SSH does not answer, never proof.

With static addresses SSH to the inventory's address is the proof; the agent need not be there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network, ip_address
from typing import Any

from lab.machines import Machine
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.fleet import FleetRow
from lab.providers.proxmox.retry import ProxmoxApiError


def lan_address(interfaces: Iterable[Mapping[str, Any]], mac: str, lan: IPv4Network) -> IPv4Address | None:
    """The address on the LAN of the card with this MAC address; bridges of containers do not count."""
    for interface in interfaces:
        if str(interface.get("hardware-address", "")).lower() != mac:
            continue
        for item in interface.get("ip-addresses") or ():
            address = ip_address(item["ip-address"].partition("%")[0])
            if isinstance(address, IPv4Address) and address in lan:
                return address
    return None


def verdict(api: ProxmoxApi, row: FleetRow, machine: Machine) -> str:
    """One sentence: which address the machine has, or why the agent does not say."""
    try:
        interfaces = api.get(f"{row.path}/agent/network-get-interfaces")["result"]
    except ProxmoxApiError as error:
        return f"agent: {error.reason} (is qemu-guest-agent in the image?)"
    address = lan_address(interfaces, machine.mac, machine.interface.network)
    if address is None:
        return f"agent: the card {machine.mac} has no address of {machine.interface.network} yet"
    if address != machine.interface.ip:
        return (
            f"agent: the machine has {address}; the inventory says {machine.interface.ip} "
            "(is a DHCP server handing out addresses?)"
        )
    return f"agent: the machine has {address}, as the inventory says"
