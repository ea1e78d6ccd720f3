"""Versions: only those that the acceptance suite has proven together."""

from __future__ import annotations

from collections.abc import Iterator

from lab.catalogue.load import load_catalogue
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers, for comparing: v1.9.0 is older than v1.31.0."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def tested(section: str) -> tuple[str, ...]:
    """The versions that a section of the inventory may name, in its spelling, the default first.

    One is among them when `invoke verify` has passed with it: the catalogue then no longer calls it untested.
    """
    versions = load_catalogue().tested(section)
    # containerd's own spelling has no v
    return tuple(version.removeprefix("v") for version in versions) if section == "containerd" else versions


def tested_versions(inventory: Inventory) -> Iterator[Problem]:
    """Each component has a version of the tested set."""
    catalogue = load_catalogue()
    for component in catalogue.sections:
        section = getattr(inventory, component)
        allowed = tested(component)
        if section is None or section.version in allowed:
            continue
        version = section.version
        path: Loc = (component, "version")
        rule = f"is not among the tested versions of {component}: {', '.join(allowed)}"
        if component == "containerd" and numbers(version) >= (2,):
            rule = "reads another configuration format (version 3) than the one written here; " + rule
        if reason := catalogue.versions(component).get(version):
            rule += f" ({version}: {reason})"
        newer = numbers(version) > numbers(allowed[0])
        yield Problem(path, f"{rule}; it is {'newer' if newer else 'older'}", f"write {allowed[0]}")


def grace_period(inventory: Inventory) -> Iterator[Problem]:
    """Below 1.32 a node may have to be silent for 45 s before its client gives a dead connection up.

    30 s of read idle and 15 s of ping (kubernetes#121793); 1.32 made 50 s the default.
    """
    least = inventory.reaction.shortest_grace
    if inventory.grace_seconds < min(least, 50):
        path: Loc = ("kubernetes", "node_monitor_grace_seconds")
        rule = (
            f"must be at least {min(least, 50)}: a client may need "
            f"{inventory.reaction.dead_connection} s to leave a dead API server"
        )
        yield Problem(path, rule, f"write {min(least, 50)}")


RULES = (tested_versions, grace_period)
