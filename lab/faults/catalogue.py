"""All kinds of faults by name, and what of them a lab can have."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from lab.errors import InputError, PlumblineError
from lab.faults import disks, links, partitions, power, pressure, processes, services
from lab.faults.kinds import Fault, Kind
from lab.labs import Lab

FAMILIES = (power, processes, partitions, links, disks, pressure, services)
KINDS: dict[str, Kind] = {kind.name: kind for family in FAMILIES for kind in family.KINDS}


def kind_of(name: str) -> Kind:
    """The kind of that name. Raises `InputError` for an unknown one."""
    if name not in KINDS:
        raise InputError(f"fault {name}: no such fault", next_step="invoke faults")
    return KINDS[name]


def fault(lab: Lab, name: str, host: str = "", seconds: float = 0) -> Fault:
    """The fault of that name; by default on the last host it is for, with its kind's own bound.

    Raises `InputError` for an unknown kind and a bound that is none.
    """
    kind = kind_of(name)
    if seconds < 0:
        raise InputError(f"--seconds {seconds:g}: must be more than 0", next_step="invoke faults")
    return Fault(kind, host or hosts_for(lab, kind)[-1], seconds or kind.seconds)


def hosts_for(lab: Lab, kind: Kind) -> tuple[str, ...]:
    """The hosts a kind can hit, in the inventory's order."""
    return tuple(name for name, host in lab.inventory.hosts.items() if host.role in kind.roles)


@dataclass(frozen=True)
class Offer:
    """A kind, the host it hits unless told otherwise, and why it cannot be had ("": it can)."""

    kind: Kind
    host: str
    reason: str


def offers(lab: Lab) -> list[Offer]:
    """Every kind with its availability in this lab right now."""

    def look(kind: Kind) -> Offer:
        found = fault(lab, kind.name)
        try:
            found.available(lab)
        except PlumblineError as error:
            return Offer(
                kind,
                found.host,
                error.message.removeprefix(f"{found.title}: ").removeprefix("not available here: "),
            )
        return Offer(kind, found.host, "")

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(look, KINDS.values()))
