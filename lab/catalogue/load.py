"""Reading the catalogue: the platform's file and one of each add-on that brings components."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from yaml import YAMLError

from lab.catalogue.catalogue import Catalogue, CatalogueFile
from lab.catalogue.model import PLATFORM, ROOT
from lab.errors import InputError
from lab.own_yaml import read

CATALOGUE = PLATFORM / "catalogue.yaml"
ADDONS = ROOT / "addons"
NAME = "catalogue.yaml"

M = TypeVar("M", bound=BaseModel)


def files(platform: Path = CATALOGUE, addons: Path = ADDONS) -> tuple[Path, ...]:
    """The platform's file, and after it those of the add-ons by name."""
    return (platform, *sorted(addons.glob(f"*/{NAME}")))


@cache
def load_catalogue(platform: Path = CATALOGUE, addons: Path = ADDONS) -> Catalogue:
    """Read and check the catalogue. Raises `InputError` with every problem of the first file that has any."""
    components: dict[str, Any] = {}
    homes: dict[str, str] = {}
    for path in files(platform, addons):
        # each file for itself first, so that a problem names the right one
        part = load_yaml(path, CatalogueFile, {"folder": path.parent})
        if twice := sorted(part.components.keys() & components.keys()):
            raise InputError(
                f"{path}: {', '.join(twice)}: is in another catalogue too", next_step=f"edit {path}"
            )
        components |= part.components
        if path != platform:
            homes |= dict.fromkeys(part.components, path.parent.name)
    try:
        return Catalogue(components=components, homes=homes)
    except ValidationError as error:
        text = "; ".join(str(one["msg"]) for one in error.errors())
        raise InputError(f"catalogue: {text}", next_step=f"edit {platform} or addons/*/{NAME}") from None


def line_of(pin: str) -> str:
    """FILE:LINE of the catalogue where a digest is pinned, as an editor opens it; "" if none does."""
    for path in files():
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if pin in line:
                return f"{_shown(path)}:{number}"
    return ""


def load_yaml(path: Path, model: type[M], context: dict[str, Any] | None = None) -> M:
    """Read a YAML file into a model; raises `InputError` with file, field, value and rule."""
    try:
        data = read(path.read_text())
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}", next_step=f"git checkout -- {path}") from None
    except YAMLError as error:
        raise InputError(f"{path}: not YAML: {error}", next_step=f"edit {path}") from None
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        lines, shown = [], _shown(path)
        for one in error.errors():
            field = ".".join(str(part) for part in one["loc"])
            lines.append(f"{shown}: {field}: {one['msg']} (is: {str(one['input'])[:80]})")
        raise InputError("\n".join(lines), next_step=f"edit {path}") from None


def _shown(path: Path) -> str:
    """A file as people write it in the checkout."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.parent.name, path.name))
