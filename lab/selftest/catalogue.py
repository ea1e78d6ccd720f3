"""All defects of a lab, for its hosts: those of `lab/selftest/defects/` and of its add-ons."""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import get_close_matches

from lab.addons import selected
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.parts import part
from lab.selftest import defects as seeded
from lab.selftest.defect import Defect
from lab.verify.index import rows
from lab.verify.layers import LAYERS


def families(inventory: Inventory) -> dict[str, tuple[Defect, ...]]:
    """The defects of each kind: of a module of `lab/selftest/defects/`, of an add-on.

    Raises `InputError` for a lab with too few machines.
    """
    if len(inventory.masters) < 3 or len(inventory.workers) < 2:
        raise InputError(
            f"selftest: {inventory.lab} has {len(inventory.masters)} masters and {len(inventory.workers)} "
            "workers; its defects need three and two",
            next_step="invoke selftest -i rehearsal",
        )
    return {kind: tuple(part(module, "defects")(inventory)) for kind, module in _modules(inventory).items()}


def _modules(inventory: Inventory) -> dict[str, str]:
    names = sorted(module.name for module in pkgutil.iter_modules(seeded.__path__))
    modules = {name: f"{seeded.__name__}.{name}" for name in names}
    own = [addon for addon in selected(inventory) if addon.has("defects.py")]
    return modules | {f"add-on {addon.name}": f"{addon.module}.defects" for addon in own}


def catalogue(inventory: Inventory) -> tuple[Defect, ...]:
    """Every defect, the lowest layer's first.

    Raises `InputError` for a lab with too few machines, and with all defects that no check could name.
    """
    modules = _modules(inventory)
    found = [(modules[kind], defect) for kind, family in families(inventory).items() for defect in family]
    order = [layer.name for layer in LAYERS]
    if problems := dict.fromkeys(_problems(found, order)):
        raise InputError("\n".join(problems), next_step="correct the defect, or write its row")
    return tuple(sorted((defect for _, defect in found), key=lambda defect: order.index(defect.layer)))


def _problems(found: Sequence[tuple[str, Defect]], layers: Sequence[str]) -> Iterator[str]:
    """Names that are given twice, rows and layers that there are not."""
    names = Counter(defect.name for _, defect in found)
    for module, defect in found:
        place = f"{module.replace('.', '/')}.py: {defect.name}"
        if names[defect.name] > 1:
            yield f"{place}: two defects have this name"
        if defect.layer not in layers:
            yield f"{place}: layer: {defect.layer}: must be one of {', '.join(layers)}"
        for row in (defect.row, *defect.reddens):
            if row not in rows():
                yield f"{place}: row: {row}: is in no rows.yaml"


def chosen(inventory: Inventory, selection: str) -> tuple[Defect, ...]:
    """The defects that a comma-separated list of names, rows or layers picks (none: all).

    Raises `InputError` for a word that picks nothing.
    """
    everything = catalogue(inventory)
    words = [word.strip() for word in selection.split(",") if word.strip()]
    known = sorted(frozenset[str]().union(*map(_words, everything)))
    for word in words:
        if word not in known:
            near = " or ".join(get_close_matches(word, known, n=3)) or "leave it out for all defects"
            raise InputError(
                f"--select {word}: no defect has this name, row or layer",
                next_step=f"{near}; docs/selftest.md has the families",
            )
    return tuple(item for item in everything if not words or _words(item) & set(words))


def _words(defect: Defect) -> frozenset[str]:
    """What picks a defect."""
    return defect.rows | {defect.name, defect.layer}
