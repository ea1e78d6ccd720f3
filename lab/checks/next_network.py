"""Address and gateway that the files of networkd, netplan or ifupdown give a machine at its next boot."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Interface
from typing import Any

import yaml

from lab.hosts.survey import FolderFile
from lab.inventory.models import Inventory
from lab.own_yaml import loads

FILES = (
    *("/etc/systemd/network/*.network", "/etc/systemd/network/*.network.d/*.conf", "/etc/netplan/*.yaml"),
    *("/etc/network/interfaces", "/etc/network/interfaces.d/*"),
)
_ADDRESS = re.compile(r"^\s*address[ =]\s*([\d.]+(?:/\d+)?)\s*$", re.IGNORECASE | re.MULTILINE)
_MASK = re.compile(r"^\s*netmask\s+([\d.]+)\s*$", re.MULTILINE)
_GATEWAY = re.compile(r"^\s*gateway[ =]\s*([\d.]+)\s*$", re.IGNORECASE | re.MULTILINE)
_DHCP = re.compile(r"^\s*DHCP=(?:yes|ipv4)|^\s*iface\s+\S+\s+inet\s+dhcp", re.MULTILINE)


def trouble(inventory: Inventory, host: str, entries: Iterable[FolderFile]) -> Iterator[str]:
    """What is wrong with the LAN's address; nothing where no such file gives any (NetworkManager, DHCP)."""
    addresses: dict[str, str] = {}
    gateways: dict[str, str] = {}
    dhcp = False
    for entry in entries:
        if entry.path.startswith("/etc/netplan/"):
            held, via, asks = _of_netplan(entry.text)
        elif entry.path.startswith(("/etc/systemd/network/", "/etc/network/interfaces")):
            held, via, asks = _of_lines(entry.text)
        else:
            continue
        addresses |= dict.fromkeys(held, entry.path)
        gateways |= dict.fromkeys(via, entry.path)
        dhcp |= asks
    wanted, lan = str(inventory.interface(host)), inventory.network.lan
    if not addresses:
        return
    if wanted not in addresses and not dhcp:
        yield f"network: no file gives the machine {wanted}"
    for address, path in addresses.items():
        if address != wanted and IPv4Interface(address).ip in lan:
            yield f"{path}: gives the machine {address} in the LAN beside or instead of {wanted}"
    others = [f"{via} by {path}" for via, path in gateways.items() if via != str(inventory.network.gateway)]
    if inventory.makes(host):
        yield from (f"network: a gateway {other}, not {inventory.network.gateway}" for other in others)


def _of_lines(text: str) -> tuple[list[str], list[str], bool]:
    """Addresses with their length, gateways, and whether DHCP is asked: networkd and ifupdown."""
    mask = _MASK.search(text)
    length = f"/{mask.group(1)}" if mask else ""
    held = [one if "/" in one else str(IPv4Interface(f"{one}{length}")) for one in _ADDRESS.findall(text)]
    return held, _GATEWAY.findall(text), bool(_DHCP.search(text))


def _of_netplan(text: str) -> tuple[list[str], list[str], bool]:
    """The same of netplan; a file that is no YAML says nothing, as it does for netplan."""
    try:
        network = (loads(text) or {}).get("network") or {}
    except (yaml.YAMLError, AttributeError):
        return [], [], False
    cards: list[Mapping[str, Any]] = [
        card
        for kind in ("ethernets", "bonds", "bridges", "vlans", "wifis")
        for card in (network.get(kind) or {}).values()
    ]
    held = [str(one) for card in cards for one in card.get("addresses") or () if isinstance(one, str)]
    via = [str(card["gateway4"]) for card in cards if card.get("gateway4")]
    routes = (route for card in cards for route in card.get("routes") or ())
    via += [str(route["via"]) for route in routes if route.get("to") in ("default", "0.0.0.0/0")]
    return [one for one in held if ":" not in one], via, any(card.get("dhcp4") for card in cards)
