"""The files that are generated from the models, and whether they are current."""

from __future__ import annotations

from pathlib import Path

from lab.inventory import reference, schema


def refresh() -> list[Path]:
    """Write `inventory/schema.json` and `docs/inventory.md` anew; the files that were out of date."""
    changed = outdated()
    for path, text in _wanted().items():
        if path in changed:
            path.write_text(text, encoding="utf-8")
    return changed


def outdated() -> list[Path]:
    """Those of the generated files that differ from what the models say now."""
    return [
        path
        for path, text in _wanted().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]


def _wanted() -> dict[Path, str]:
    return {schema.FILE: schema.schema(), reference.FILE: reference.reference()}
