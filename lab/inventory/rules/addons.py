"""Add-ons of a lab: what they need is a part of it, and what they install is in a catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from lab.addons import addons, selected
from lab.catalogue.catalogue import Catalogue
from lab.catalogue.load import load_catalogue
from lab.errors import InputError
from lab.inventory.models import Inventory
from lab.inventory.problems import Problem


def needed(inventory: Inventory) -> Iterator[Problem]:
    """An add-on's needs are add-ons of the same lab."""
    _made()
    here, titles = {item.name for item in selected(inventory)}, {item.name: item for item in addons()}
    for addon in selected(inventory):
        for need in (titles[name] for name in addon.needs if name not in here):
            rule = f"{addon.title} needs {need.title}, which is not a part of this lab"
            wanted = need.condition if need.when else f"the section {need.section}"
            fix = f"add {wanted}" + (f", or remove {addon.condition}" if addon.section else "")
            yield Problem(addon.path, rule, fix, depends=(need.path,), value="")


@cache
def _made() -> None:
    """Raise `InputError` for add-ons whose manifest or program no catalogue has, with all of them."""
    problems = list(_unknown(load_catalogue()))
    if problems:
        raise InputError("\n".join(problems), next_step="invoke artifacts shows what there is")


def _unknown(catalogue: Catalogue) -> Iterator[str]:
    files = {item.name for item, _ in catalogue.everything().files()}
    for addon in addons():
        place = f"addons/{addon.folder.name}/addon.yaml"
        if addon.manifest and addon.manifest not in files:
            yield f"{place}: manifest: {addon.manifest}: no catalogue.yaml has a file of this name"
        for item in addon.on_hosts.programs:
            if item.artifact not in catalogue.program_names:
                yield f"{place}: on_hosts.programs: {item.artifact}: no catalogue.yaml has such a program"


RULES = (needed,)
