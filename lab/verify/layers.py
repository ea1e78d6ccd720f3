"""The layers of the acceptance suite, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.addons import FOLDER as ADDONS
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.inventory.providers import FOLDER as PROVIDERS

TESTS = Path(__file__).resolve().parents[2] / "tests" / "acceptance"


def check_files(pattern: str) -> list[Path]:
    """The files that a glob finds in tests/acceptance and in each add-on's and provider's folder, by name."""
    found = (path for folders in (ADDONS, PROVIDERS) for path in folders.glob(f"*/{pattern}"))
    return sorted((*TESTS.glob(pattern), *found), key=lambda path: path.name)


@dataclass(frozen=True)
class Layer:
    """One layer: its tests are the files `test_<number>_<name>*.py` of `check_files`.

    `workers` is how many processes run it: more than one only where no test disturbs another. `disturbs` says
    that it breaks machines, `every_host` that each host must have been looked at by one of its checks;
    `profile` is the load profile that one of its checks runs without a word.
    """

    name: str
    number: int
    title: str
    workers: int = 1
    needs_lab: bool = True
    disturbs: bool = False
    every_host: bool = False
    profile: str = ""

    @property
    def pattern(self) -> str:
        """Glob of the layer's files."""
        return f"test_{self.number:02d}_{self.name}*.py"

    @property
    def files(self) -> list[Path]:
        """The layer's files, by name."""
        return check_files(self.pattern)


LAYERS = (
    Layer("render", 0, "what the inventory means", needs_lab=False),
    Layer("node", 10, "each machine is what its roles say", workers=2, every_host=True),
    Layer("cluster", 20, "the machines form one healthy cluster", workers=2),
    Layer("services", 30, "services answer to clients outside the nodes", workers=3),
    Layer("ha", 40, "the loss of a machine is survived", disturbs=True),
    Layer("load", 50, "the ingress under its users", profile="default"),
)


def named(name: str) -> Layer:
    """The layer of that name."""
    return next(layer for layer in LAYERS if layer.name == name)


def chosen(names: Sequence[str], inventory: Inventory) -> tuple[tuple[Layer, ...], dict[str, str]]:
    """The layers to run, lowest first, and why others of the default selection are left out.

    Without `names` all layers run that this lab allows. Raises `InputError` for an unknown name and for a
    disturbing layer on a lab that is not disposable.
    """
    known = {layer.name: layer for layer in LAYERS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(
            f"--layer: {', '.join(unknown)}: not a layer; layers are {', '.join(known)}",
            next_step="invoke verify --layer node",
        )
    picked = [layer for layer in LAYERS if not names or layer.name in names]
    disturbing = [] if inventory.disposable else [layer for layer in picked if layer.disturbs]
    if disturbing and names:
        raise InputError(
            f"--layer: {disturbing[0].name}: breaks machines, and inventory field `disposable` is false",
            next_step="set disposable: true in the inventory if this lab may be broken",
        )
    reasons = {
        layer.name: "disposable: false in the inventory, so no faults are injected" for layer in disturbing
    }
    return tuple(layer for layer in picked if layer.name not in reasons), reasons
