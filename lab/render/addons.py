"""Add-ons: upstream's manifest, our partial objects merged into it, and objects of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.addons import AddOn, selected
from lab.addons.mark import marked
from lab.errors import FailedError, InputError
from lab.inventory.addon_sections import section_of
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.own_yaml import LOADER, told, without_nulls
from lab.render.addon_objects import CRD, check
from lab.render.bundle import pins
from lab.render.patience import patient
from lab.render.templates import render

PATCH, OBJECTS = "patch.yaml", "objects.yaml"
"""Templates in an add-on's folder: partial objects that are merged by kind, namespace and name into those of
its manifest, or applied as they are where there is none; and whole objects of our own."""
WEBHOOKS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def objects(inventory: Inventory, addon: AddOn, manifests: Mapping[str, Path]) -> list[Object]:
    """All objects of an add-on in the order in which they can be applied, each with the add-on's mark.

    Webhooks come last: an object of ours that a webhook would judge can then be made before its server
    runs (our own rules have judged it already), and later changes are judged by both.
    Raises `InputError` for objects that do not fit.
    """
    patches = rendered(inventory, addon, PATCH)
    whole = _documents(manifests[addon.manifest].read_text()) if addon.manifest else []
    for patch in patches if addon.manifest else ():
        whole = _patched(whole, patch)
    whole += rendered(inventory, addon, OBJECTS)
    # without a manifest somebody else has made these objects whole: they are not ours to remove
    parts = [] if addon.manifest else patches
    made = [*parts, *(marked(item, addon) for item in whole)]
    check(addon, made)
    return sorted((patient(item, inventory) for item in made), key=_rank)


def is_partial(addon: AddOn) -> bool:
    """Whether an add-on's objects are parts of objects that somebody else, as kubeadm, has made whole."""
    return addon.has(f"{PATCH}.j2") and not addon.manifest


def addon_manifests(inventory: Inventory) -> list[str]:
    """Names of the artefacts that the add-ons' objects come from."""
    return [addon.manifest for addon in selected(inventory) if addon.manifest]


def addon_values(inventory: Inventory, addon: AddOn) -> dict[str, Any]:
    """The values that the templates of an add-on may use: the platform's, its section, and its own."""
    images, section = pins(inventory).images, section_of(addon)
    return {
        "inventory": inventory,
        "section": getattr(inventory, addon.section) if addon.section else None,
        "images": images,
        "api_environment": inventory.api_environment,
        **(section.values(inventory, images) if section else {}),
    }


def rendered(inventory: Inventory, addon: AddOn, template: str) -> list[Object]:
    """The objects of one of its templates; none when it has no such template.

    Raises `InputError` for what is no YAML, and for one that Kubernetes could not know by kind and name.
    """
    if not addon.has(f"{template}.j2"):
        return []
    place = f"addons/{addon.folder.name}/{template}"
    text = render(place, **addon_values(inventory, addon))
    edit = f"edit {place}.j2"
    try:
        found = _documents(text)
    except yaml.YAMLError as error:
        raise InputError(f"{place}.j2: what comes of it is not YAML: {told(error)}", next_step=edit) from None
    for number, item in enumerate(found, 1):
        meta = item.get("metadata") if isinstance(item, dict) else None
        if not (isinstance(meta, dict) and meta.get("name") and {"apiVersion", "kind"} <= item.keys()):
            said = f"{place}.j2: object {number}: must be a mapping with apiVersion, kind and metadata.name"
            raise InputError(said, next_step=edit)
    return found


def _documents(text: str) -> list[Object]:
    return [without_nulls(document) for document in yaml.load_all(text, Loader=LOADER) if document]


def _rank(item: Object) -> int:
    kind = item["kind"]
    if kind in ("Namespace", CRD):
        return 0
    if kind in WEBHOOKS:
        return 9
    return 5 if "spec" in item and "template" in item["spec"] else 1 if item["apiVersion"] != "v1" else 2


def _name(item: Object) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _patched(found: list[Object], patch: Object) -> list[Object]:
    """The objects with `patch` merged into the one of its kind, namespace and name."""
    wanted = _name(patch)
    if wanted not in map(_name, found):
        raise FailedError(f"add-on patch: {'/'.join(wanted)} is not in the manifest")
    return [merge(item, patch) if _name(item) == wanted else item for item in found]


def merge(base: Any, patch: Any) -> Any:
    """Merge `patch` into `base`: mappings by key, lists of named items by name, all else replaced.

    An item of a list with `$patch: delete` is removed, as in Kubernetes' strategic merge.
    """
    if isinstance(base, dict) and isinstance(patch, dict):
        return base | {key: merge(base[key], value) if key in base else value for key, value in patch.items()}
    if not (
        isinstance(base, list) and isinstance(patch, list) and all(_named(item) for item in base + patch)
    ):
        return patch
    merged = {item["name"]: item for item in base}
    for item in patch:
        if item.get("$patch") == "delete":
            if merged.pop(item["name"], None) is None:
                raise FailedError(f"add-on patch: {item['name']} is not in the manifest")
        else:
            merged[item["name"]] = merge(merged.get(item["name"], {}), item)
    return list(merged.values())


def _named(item: Any) -> bool:
    return isinstance(item, dict) and "name" in item
