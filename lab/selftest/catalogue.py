"""All defects of a lab: those of `tests/defects/` and of its add-ons, for the hosts of an inventory."""

from __future__ import annotations

import importlib

from lab.addons import selected
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.selftest.defect import Defect

FAMILIES = ("render", "host", "blind", "cluster")
"""Modules of `tests/defects/` in the order in which they are proven."""


def catalogue(inventory: Inventory) -> tuple[Defect, ...]:
    """Every defect of the lab, family by family. Raises `InputError` for a lab with too few machines."""
    if len(inventory.masters) < 3 or len(inventory.workers) < 2:
        raise InputError(
            f"selftest: {inventory.lab} has {len(inventory.masters)} masters and {len(inventory.workers)} "
            "workers; its defects need three and two",
            next_step="invoke selftest -i rehearsal",
        )
    own = [f"{addon.module}.defects" for addon in selected(inventory) if addon.has("defects.py")]
    return tuple(
        defect
        for module in (*(f"tests.defects.{family}" for family in FAMILIES), *own)
        for defect in importlib.import_module(module).defects(inventory)
    )


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
