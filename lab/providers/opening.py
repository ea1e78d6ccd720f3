"""The providers of one lab, opened; and what of its machines is known without asking them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lab.errors import InputError
from lab.inventory.models import Arch, Inventory
from lab.inventory.providers import rules_of
from lab.machines import Provider, Traits
from lab.providers.face import Opening, face
from lab.providers.mixed import MixedProvider
from lab.ssh import Keys


def provider_for(
    inventory: Inventory, root: Path, layers: tuple[Path, ...] = (), backend: str = ""
) -> Provider:
    """The provider of a lab, one for all its machines or several behind the same contract.

    Machines that exist stand in the network of those that are made, if any are: theirs comes first. Raises
    `InputError` for a `backend` that none of the providers has.
    """
    used = _used(inventory)
    known = [item for name in used for item in rules_of(name).backends]
    if backend and backend not in known:
        said = f"must be one of {', '.join(known)}" if known else f"{' and '.join(used)}: takes no backend"
        raise InputError(f"--backend: {backend}: {said}", next_step="correct it, or leave --backend out")
    parts: dict[str, Provider] = {}
    opening = Opening(inventory, root, layers, backend)
    for name in sorted(used, key=lambda name: not rules_of(name).makes):
        first = next(iter(parts.values()), None)
        if first is not None and not rules_of(name).makes:
            opening = Opening(inventory, root, layers, backend, first.enter)
        parts[name] = face(name).open(opening)
    if len(parts) == 1:
        return next(iter(parts.values()))
    owners = {name: parts[inventory.provided_by(name)] for name in inventory.hosts}
    return MixedProvider(tuple(parts.values()), owners)


def traits_of(inventory: Inventory) -> dict[str, Traits]:
    """What each machine cannot do as a full one would, by host, as far as that is known without asking it."""
    return {name: face(inventory.provided_by(name)).traits(inventory, name) for name in inventory.hosts}


def stocked(inventory: Inventory) -> tuple[Arch, ...]:
    """Architectures of the machines that get programs and images over SSH."""
    over_ssh = [name for name, traits in traits_of(inventory).items() if not traits.layered]
    return tuple(dict.fromkeys(inventory.hosts[name].arch for name in over_ssh))


def outputs(inventory: Inventory, keys: Keys) -> Iterator[tuple[str, str]]:
    """The files that providers are given beside each host's own, by path."""
    for name in _used(inventory):
        yield from face(name).outputs(inventory, keys)


def _used(inventory: Inventory) -> tuple[str, ...]:
    return tuple(dict.fromkeys(inventory.provided_by(name) for name in inventory.hosts))
