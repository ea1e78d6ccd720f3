"""Whether other devices of the LAN have addresses of a lab that is still to be made."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address

from lab.checks.arp_sweep import sweep
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import lan_interface
from lab.errors import PlumblineError
from lab.inventory.problems import dotted
from lab.inventory.rules.networks import DHCP, ranges
from lab.labs import Lab
from lab.machines import Blocker, State


def taken(lab: Lab, states: Mapping[str, State]) -> list[Blocker]:
    """Addresses of machines and of ranges that somebody answers for, asked of the LAN before a first build.

    Somebody else's address of a machine stops the build. In a range it is a warning: a router may answer for
    others. Nothing is asked where this machine does not stand in the LAN, where a machine of the lab is there
    already, or where the lab's network is its own (containers). It takes some seconds.
    """
    inventory = lab.inventory
    made = [name for name in states if inventory.makes(name)]
    if not made or any(states[name] is not State.ABSENT for name in made):
        return []
    if any(lab.provider.traits_of(name).shares_kernel for name in made):
        return []
    owners = {
        area.addresses.first + number: (dotted(area.path), False)
        for area in ranges(inventory)
        if area.path != DHCP
        for number in range(len(area.addresses))
    }
    owners |= {inventory.hosts[name].address: (f"hosts.{name}.address", True) for name in made}
    try:
        place = lan_interface(inventory.network.lan)
    except (CouldNotTell, PlumblineError):
        return []  # not in the LAN, or without a program that tells
    try:
        found = sweep(place, owners.keys() - {place.address})
    except CouldNotTell as error:
        fix = "as root: sudo -E invoke preflight"
        return [
            Blocker("addresses of the LAN", error.message, "asked whether they are free", fix, stops=False)
        ]
    return [_told(address, macs, *owners[address]) for address, macs in found.items()]


def _told(address: IPv4Address, macs: tuple[str, ...], owner: str, stops: bool) -> Blocker:
    fix = f"take it from that device, or write another address at {owner}"
    return Blocker(
        str(address), f"{' and '.join(macs)} has it", f"free, for {owner} names it", fix, stops=stops
    )
