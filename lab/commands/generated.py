"""The files of this repository that are generated from its code, and whether they are current."""

from __future__ import annotations

from pathlib import Path

from lab.addons import addons
from lab.inventory import reference
from lab.inventory import schema as inventory_schema
from lab.parts import ROOT, part
from lab.report import schema as report_schema
from lab.verify import index


def refresh() -> list[Path]:
    """Write anew what is out of date: pages and schemas of docs/, the inventory's schema. Which they were."""
    changed = outdated()
    for path, text in _wanted().items():
        if path in changed:
            path.write_text(text, encoding="utf-8")
    return changed


def outdated() -> list[Path]:
    """Those of the generated files that differ from what the code says now."""
    return [
        path
        for path, text in _wanted().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def _wanted() -> dict[Path, str]:
    return {
        inventory_schema.FILE: inventory_schema.schema(),
        reference.FILE: reference.reference(),
        index.INDEX: index.index(),
        **report_schema.schemas(),
        **_of_addons(),
    }


def _of_addons() -> dict[Path, str]:
    """The pages of add-ons that have some of their own: `pages.py`, paths in the checkout and texts."""
    brought = [part(f"{addon.module}.pages", "pages")() for addon in addons() if addon.has("pages.py")]
    return {ROOT / path: text for pages in brought for path, text in pages.items()}
