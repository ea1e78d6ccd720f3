"""Removed objects, kept as YAML in the folder of the run that removed them; Secrets are not kept."""

from __future__ import annotations

import yaml

from lab.addons.mark import LABEL
from lab.cluster.apply import as_text
from lab.cluster.discovery import Item
from lab.own_yaml import loads
from lab.steps.context import Context

FOLDER = "removed"
"""Of a run, with the objects that it removed."""


def keep(context: Context, item: Item) -> None:
    """Keep an object that is about to be removed."""
    live = context.api.get(item.path) if item.key.kind != "Secret" else None
    if live:
        context.run.keep(f"{FOLDER}/{str(item.key).replace('/', '.')}.yaml", as_text(live))


def was_removed(context: Context, word: str) -> bool:
    """Whether the evidence of an earlier run has an object of this add-on, by its label.

    A file that a killed run has left unfinished tells nothing.
    """
    for kept in context.run.lab_folder.glob(f"runs/*/{FOLDER}/*.yaml"):
        try:
            item = loads(kept.read_text())
        except yaml.YAMLError:
            continue
        meta = item.get("metadata") if isinstance(item, dict) else None
        if isinstance(meta, dict) and (meta.get("labels") or {}).get(LABEL) == word:
            return True
    return False
