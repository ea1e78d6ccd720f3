"""Addresses that the inventory names and no host has: name and time servers, mirrors, a hypervisor.

Whoever has such an address has it without the lab. So nobody else may be given it: no service by a range that
an add-on hands out, no stranger by DHCP, no machine of the lab.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address

from pydantic import BaseModel

from lab.inventory.addon_sections import of_lab
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem, Unfit
from lab.inventory.ranges import parse_address
from lab.inventory.rules.cluster import API_NAMES, ways_to_api
from lab.inventory.rules.networks import DHCP, GATEWAY, LAN, networks, ranges

_IN_TEXT = re.compile(r"(?<![\w.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w-]|\.\w)", re.ASCII)
_NOT_ASKED: tuple[Loc, ...] = (GATEWAY, ("hosts",), ("ssh", "authorized_keys"))
"""Judged by rules of their own (the gateway, addresses of hosts), or nowhere connected to."""
_MIRRORS: Loc = ("containerd", "mirrors")


@dataclass(frozen=True)
class Named:
    """An address and its place in the file.

    `certain` is False where a clash is a warning: the lab stands without whoever is asked there (a mirror is
    passed over for the registry), or nobody can say what the text means (the command of a switch).
    """

    path: Loc
    address: IPv4Address
    certain: bool
    on_host: bool = False
    """Whether it may be a host's: a machine's own power is often switched by way of the machine."""


def named(inventory: Inventory) -> list[Named]:
    """Every address that the inventory names besides those of hosts and gateway."""
    own = {
        (addon.section, address)
        for addon, section in of_lab(inventory)
        for address in section.served(inventory)
        if addon.section
    }
    found = [
        Named(path, address, certain=path[:2] != _MIRRORS)
        for path, address in _addresses(inventory, ())
        # what an add-on serves stands in a range because it must
        if (path[0], str(address)) not in own
    ]
    for name, machine in inventory.hosts.items():
        for key in ("on", "off"):
            found += [
                Named(("hosts", name, "power", key), address, certain=False, on_host=True)
                for address in in_text(getattr(machine.power, key))
            ]
    return found


def _addresses(value: object, path: Loc) -> Iterator[tuple[Loc, IPv4Address]]:
    if path in _NOT_ASKED:
        return
    if isinstance(value, BaseModel):
        for key in type(value).model_fields:
            yield from _addresses(getattr(value, key), (*path, key))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (((*path, key), address) for address in in_text(key))
            yield from _addresses(item, (*path, key))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _addresses(item, (*path, index))
    elif isinstance(value, IPv4Address):
        yield path, value
    elif isinstance(value, str):
        yield from ((path, address) for address in in_text(value))


def in_text(text: str) -> Iterator[IPv4Address]:
    """Addresses in a URL, in USER@HOST:/FOLDER or in a command line."""
    for word in _IN_TEXT.findall(text):
        try:
            yield parse_address(word)
        except Unfit:
            continue


def nobody_elses(inventory: Inventory) -> Iterator[Problem]:
    """An address that the inventory names is in no range that is handed out, on no host and no pod's."""
    hosts = {machine.address: name for name, machine in inventory.hosts.items()}
    areas, nets, lan = ranges(inventory), networks(inventory)[-2:], inventory.network.lan
    for item in named(inventory):
        clashes: list[tuple[str, str, Loc]] = []
        for area in areas:
            if item.address in area.addresses:
                rule = f"lies in {area.what}, so another machine may be given it"
                if area.path != DHCP:
                    rule = _handed_out(area.what, item)
                clashes.append((rule, f"take it out of {area.what}", area.path))
        name = hosts.get(item.address, "")
        of_api = item.path[:2] == API_NAMES and name in ways_to_api(inventory)
        if name and not item.on_host and not of_api:  # a rule of its own judges names of the API
            rule = f"is {name}'s: a machine of this lab opens the ports of its roles alone"
            clashes.append((rule, f"give {name} another", ("hosts", name, "address")))
        for net_area, net in nets:
            if item.address in net:
                rule = f"lies in {net_area.what} {net}, which machines reach only when the cluster runs"
                clashes.append((rule, f"move {net_area.what}", net_area.path))
        if item.address in (lan.network_address, lan.broadcast_address) and lan.prefixlen < 31:
            kind = "network" if item.address == lan.network_address else "broadcast"
            clashes.append((f"is the {kind} address of the LAN {lan}", "correct the LAN", LAN))
        for rule, otherwise, owner in clashes:
            fix = f"write another address, or {otherwise}{'' if item.certain else ', unless it is meant so'}"
            yield Problem(item.path, rule, fix, others=(owner,), warning=not item.certain)


def _handed_out(what: str, item: Named) -> str:
    if item.path[:2] == _MIRRORS:
        rule = "it answers only while the cluster runs, and after a cold start pulls wait for it"
        return f"lies in {what}: {rule}"
    return (
        f"lies in {what}: if a service has it, it answers only while the cluster runs, "
        "and if another machine has it, a service may be given it"
    )


RULES = (nobody_elses,)
