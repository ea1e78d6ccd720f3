"""What a lab wants: the components and versions that its inventory says, and no others."""

from __future__ import annotations

from lab.addons import selected
from lab.catalogue.catalogue import Component
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import ComponentVersion, Programs
from lab.inventory.models import Inventory


def wanted(inventory: Inventory) -> tuple[ComponentVersion, ...]:
    """Components of the platform and of the add-ons that the inventory has, each in one version.

    Sets of programs that only images are made of are not named: they come with the images that need them.
    Raises `InputError` when the inventory names a version that the catalogue does not have.
    """
    catalogue = load_catalogue()
    homes = {"", *(addon.folder.name for addon in selected(inventory))}
    found = []
    for name, component in catalogue.components.items():
        if catalogue.homes.get(name, "") not in homes:
            continue
        item = ComponentVersion(name, _version(inventory, component))
        if item.version:
            one = catalogue.get(item)
            if not isinstance(one, Programs) or one.named:
                found.append(item)
    return tuple(found)


def _version(inventory: Inventory, component: Component) -> str:
    """The version of a component, "" for one of a section that the inventory leaves out."""
    if not component.section:
        return component.first
    section = getattr(inventory, component.section)
    if section is None:
        return ""
    version: str = section.version
    # the inventory writes containerd's without its v, as containerd does
    return version if version in component.versions else f"v{version.removeprefix('v')}"
