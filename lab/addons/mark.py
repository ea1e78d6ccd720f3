"""What an applied object says of itself: of which add-on it is, and what that add-on needs.

The idea is that of ApplySet (KEP-3659, `applyset.kubernetes.io/part-of`): membership is a label on the
object, so it goes wherever the object goes, and no list of ours can be lost. docs/adr/0030 says what is left
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.addons.model import AddOn

LABEL = "plumbline.local/addon"
"""Its value is the add-on's name."""
NEEDS = "plumbline.local/needs"
"""Annotation: the names in the add-on's `needs`, separated by commas. The order in which things are removed
can then be told although the add-on's folder is gone."""


def marks(addon: AddOn) -> dict[str, dict[str, str]]:
    """The part of `metadata` that says so."""
    needs = {"annotations": {NEEDS: ",".join(addon.needs)}} if addon.needs else {}
    return {"labels": {LABEL: addon.name}, **needs}


def marked(item: Mapping[str, Any], addon: AddOn) -> dict[str, Any]:
    """The object with the marks of its add-on beside the labels and annotations that it has."""
    meta = dict(item["metadata"])
    for field, values in marks(addon).items():
        meta[field] = {**(meta.get(field) or {}), **values}
    return {**item, "metadata": meta}
