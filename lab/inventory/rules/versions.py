"""Versions: only those that the acceptance suite has proven together."""

from __future__ import annotations

from collections.abc import Iterator

from lab.catalogue.load import load_catalogue
from lab.inventory.models import Inventory
from lab.inventory.problems import Loc, Problem
from lab.inventory.tested import tested, untested


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers, for comparing: v1.9.0 is older than v1.31.0."""
    return tuple(int(part) for part in version.removeprefix("v").split("."))


def tested_versions(inventory: Inventory) -> Iterator[Problem]:
    """Each component has a version of the tested set."""
    for key in load_catalogue().sections:
        section = getattr(inventory, key, None)
        known = {numbers(version): version.removeprefix("v") for version in tested(key)}
        if section is None or numbers(section.version) in known:
            continue
        # some write a version with its v and some without: as the section does
        v = "v" * section.version.startswith("v")
        allowed = [f"{v}{number}" for number in known.values()]
        path: Loc = (key, "version")
        rule = f"is not among the tested versions of {key}: {', '.join(allowed)}"
        if key == "containerd" and numbers(section.version) >= (2,):
            rule = "reads another configuration format (version 3) than the one written here; " + rule
        reasons = {numbers(version): why for version, why in untested(key).items()}
        if why := reasons.get(numbers(section.version)):
            rule += f" ({section.version}: {why})"
        newer = numbers(section.version) > max(known)
        yield Problem(path, f"{rule}; it is {'newer' if newer else 'older'}", f"write {allowed[0]}")


RULES = (tested_versions,)
