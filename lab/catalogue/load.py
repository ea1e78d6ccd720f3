"""Reading the catalogue: the platform's file and one of each add-on that brings components."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lab.catalogue.catalogue import Catalogue, CatalogueFile
from lab.catalogue.model import PLATFORM, ROOT
from lab.errors import InputError
from lab.own_yaml import in_checkout, load

CATALOGUE = PLATFORM / "catalogue.yaml"
ADDONS = ROOT / "addons"
NAME = "catalogue.yaml"


def files(platform: Path = CATALOGUE, addons: Path = ADDONS) -> tuple[Path, ...]:
    """The platform's file, and after it those of the add-ons by name."""
    return (platform, *sorted(addons.glob(f"*/{NAME}")))


@cache
def load_catalogue(platform: Path = CATALOGUE, addons: Path = ADDONS) -> Catalogue:
    """Read and check the catalogue. Raises `InputError` with every problem of every file."""
    components: dict[str, Any] = {}
    homes: dict[str, str] = {}
    problems: list[str] = []
    for path in files(platform, addons):
        # each file for itself first, so that a problem names the right one
        try:
            part = load(path, CatalogueFile, {"folder": path.parent})
        except InputError as error:
            problems.append(error.message)
            continue
        if twice := sorted(part.components.keys() & components.keys()):
            problems.append(f"{in_checkout(path)}: {', '.join(twice)}: is in another catalogue too")
        components |= part.components
        if path != platform:
            homes |= dict.fromkeys(part.components, path.parent.name)
    if problems:
        raise InputError("\n".join(problems), next_step="correct the file, or: git checkout -- FILE")
    try:
        return Catalogue(components=components, homes=homes)
    except ValidationError as error:
        text = "; ".join(str(one["msg"]) for one in error.errors())
        edit = f"edit {in_checkout(platform)} or addons/*/{NAME}"
        raise InputError(f"catalogue: {text}", next_step=edit) from None


def line_of(pin: str) -> str:
    """FILE:LINE of the catalogue where a digest is pinned, as an editor opens it; "" if none does."""
    for path in files():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pin in line:
                return f"{in_checkout(path)}:{number}"
    return ""
