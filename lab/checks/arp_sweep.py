"""Who has which of many addresses: all are asked for by ARP at the same time."""

from __future__ import annotations

import select
import time
from collections import defaultdict
from collections.abc import Collection, Iterable
from ipaddress import IPv4Address

from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import LanInterface, arp_question, arp_reply, arp_wire

SECONDS, TIMES = 3.0, 3
"""All addresses are asked for so many times within this time: a frame may be lost."""


def sweep(
    place: LanInterface, addresses: Collection[IPv4Address], *, seconds: float = SECONDS, asked: int = TIMES
) -> dict[IPv4Address, tuple[str, ...]]:
    """MAC addresses that answer for each address, of those for which anybody does; all within `seconds`.

    Raises `CouldNotTell` without the right to ask.
    """
    found: defaultdict[IPv4Address, set[str]] = defaultdict(set)
    try:
        with arp_wire(place) as wire:
            for _ in range(asked):
                for address in addresses:
                    wire.send(arp_question(place, address))
                deadline = time.monotonic() + seconds / asked
                while (left := deadline - time.monotonic()) > 0:
                    if select.select([wire], [], [], left)[0]:
                        owner, about = arp_reply(wire.recv(2048))
                        if about is not None and about in addresses:
                            found[about].add(owner)
    except OSError as error:
        raise CouldNotTell(f"ARP on {place.interface}: {error.strerror}", next_step="run as root") from error
    return {address: tuple(sorted(found[address])) for address in sorted(found)}


def misplaced(
    found: dict[IPv4Address, tuple[str, ...]], used: Iterable[IPv4Address], machines: dict[str, str]
) -> dict[str, str]:
    """Addresses of pools that somebody has and should not, each with who it is.

    `used` are those that services have: one of `machines`, names by MAC address, answers for each. For all
    others nobody does.
    """
    held, wrong = set(used), {}
    for address, owners in found.items():
        named = [machines.get(mac, f"{mac}, not one of our machines") for mac in owners]
        if address not in held:
            wrong[str(address)] = f"no service has it, and {' and '.join(named)} answers"
        elif len(owners) > 1 or owners[0] not in machines:
            wrong[str(address)] = f"a service has it, and {' and '.join(named)} answers"
    return wrong
