"""All defects of a lab, for its hosts: those of `lab/selftest/defects/` and of its add-ons."""

from __future__ import annotations

import importlib
import pkgutil

from lab.addons import selected
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.selftest import defects as seeded
from lab.selftest.defect import Defect
from lab.verify.layers import LAYERS


def catalogue(inventory: Inventory) -> tuple[Defect, ...]:
    """Every defect, the lowest layer's first. Raises `InputError` for a lab with too few machines."""
    if len(inventory.masters) < 3 or len(inventory.workers) < 2:
        raise InputError(
            f"selftest: {inventory.lab} has {len(inventory.masters)} masters and {len(inventory.workers)} "
            "workers; its defects need three and two",
            next_step="invoke selftest -i rehearsal",
        )
    families = sorted(module.name for module in pkgutil.iter_modules(seeded.__path__))
    modules = [f"{seeded.__name__}.{family}" for family in families]
    modules += [f"{addon.module}.defects" for addon in selected(inventory) if addon.has("defects.py")]
    found = (defect for module in modules for defect in importlib.import_module(module).defects(inventory))
    order = [layer.name for layer in LAYERS]
    return tuple(sorted(found, key=lambda defect: order.index(defect.layer)))


def chosen(inventory: Inventory, selection: str) -> tuple[Defect, ...]:
    """The defects that a comma-separated list of names, rows or layers picks (none: all).

    Raises `InputError` for a word that picks nothing.
    """
    everything = catalogue(inventory)
    words = [word.strip() for word in selection.split(",") if word.strip()]
    for word in words:
        if not any(word in (item.name, item.row, item.layer) for item in everything):
            raise InputError(
                f"--select {word}: no defect has this name, row or layer",
                next_step=f"one of {', '.join(item.name for item in everything)}",
            )
    return tuple(item for item in everything if not words or {item.name, item.row, item.layer} & set(words))
