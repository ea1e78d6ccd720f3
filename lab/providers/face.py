"""What every provider's folder shows to the rest: `lab/providers/NAME/face.py` holds a `FACE`.

Folders are found, not listed: with `provider.yaml` (`lab.inventory.providers`) and a face, a folder is a
provider. Nobody outside `lab/providers/` knows one by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.inventory.providers import names
from lab.machines import Provider, Traits
from lab.parts import part
from lab.ssh import Keys


def _stay() -> None:
    """The machines are reached from the network in which the harness is."""


@dataclass(frozen=True)
class Opening:
    """What a provider is opened with.

    `layers` are the read-only trees of the artefacts that lie under a machine that is layered; `create` alone
    needs them. `backend` is what the user chose, "" for nothing. `enter` puts a thread into the network in
    which machines that exist stand.
    """

    inventory: Inventory
    root: Path
    layers: tuple[Path, ...] = ()
    backend: str = ""
    enter: Callable[[], None] = _stay


def _none(inventory: Inventory, keys: Keys) -> Iterator[tuple[str, str]]:
    del inventory, keys
    return iter(())


@dataclass(frozen=True)
class Face:
    """One provider.

    `open` gives the provider of a lab's machines and asks nothing of anybody yet. `traits` says how the
    machine of a host differs from a full one, as far as that is known without asking it. `outputs` are files
    that the provider is given beside each host's own, by path below the rendered folder.
    """

    open: Callable[[Opening], Provider]
    traits: Callable[[Inventory, str], Traits]
    outputs: Callable[[Inventory, Keys], Iterator[tuple[str, str]]] = _none


def face(name: str) -> Face:
    """The face of the provider of that name. Raises `InputError` for a name that is none."""
    if name not in names():
        raise InputError(
            f"provider: {name}: must be one of {', '.join(names())}", next_step="correct the name"
        )
    found: Face = part(f"lab.providers.{name}.face", "FACE")
    return found
