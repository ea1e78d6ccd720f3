"""Finding add-ons: every folder below `addons/` with an addon.yaml, in the order of what they need."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pydantic import ValidationError
from yaml import YAMLError

from lab.addons.model import AddOn
from lab.errors import InputError
from lab.own_yaml import read, told

FOLDER = Path(__file__).resolve().parents[2] / "addons"
FILE = "addon.yaml"
HOST_FILE = "host.yaml"
"""Its roles of machines (`lab.render.roles`)."""


@cache
def addons(folder: Path = FOLDER) -> tuple[AddOn, ...]:
    """Every add-on, each after those that it needs, else by name.

    Raises `InputError` with all that is wrong, each with file and field: a folder's name that Python cannot
    import, an unknown key or a value that cannot be, a file that is missing, a missing need, a circle.

    A folder without any file is none: git leaves those of another branch, with Python's caches in them.
    """
    problems: list[str] = []
    found: dict[str, AddOn] = {}
    for file in sorted(path / FILE for path in folder.glob("[!._]*/") if has_files(path)):
        try:
            item = _read(file)
        except InputError as error:
            problems.append(error.message)
        else:
            found[item.name] = item
    for item in found.values() if not problems else ():
        known = ", ".join(name for name in found if name != item.name)
        problems += [
            f"{_place(item)}: needs: {need}: there is no such add-on; there are: {known or 'no others'}"
            for need in item.needs
            if need not in found
        ]
    if problems:
        raise InputError("\n".join(problems), next_step=f"correct the file, or remove its folder of {folder}")
    return tuple(found[name] for name in _ordered(found.values()))


def selected(inventory: object) -> tuple[AddOn, ...]:
    """The add-ons of a lab, in their order: those of every lab, and those whose section says so."""
    return tuple(item for item in addons() if item.is_part_of(inventory))


def provider_of(what: str, inventory: object) -> AddOn | None:
    """The first add-on of a lab that provides this; None when none does."""
    return next((item for item in selected(inventory) if what in item.provides), None)


def has_files(folder: Path) -> bool:
    """Whether people put a file into a folder; Python's caches and hidden files are not theirs."""
    return any(
        path.is_file()
        and not any(part.startswith((".", "__pycache__")) for part in path.relative_to(folder).parts)
        for path in folder.rglob("*")
    )


def _place(item: AddOn) -> str:
    return f"addons/{item.folder.name}/{FILE}"


def _read(file: Path) -> AddOn:
    """One addon.yaml. Raises `InputError` with every problem of the file, one a line."""
    place = f"addons/{file.parent.name}/{FILE}"
    if not re.fullmatch(r"[a-z][a-z0-9_]*", file.parent.name):
        raise InputError(f"{place}: the folder's name may hold only a-z, 0-9 and _, as cert_manager")
    try:
        data = read(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{place}: {error.strerror}; write it, or remove the folder") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{place}: is not YAML: {told(error)}") from None
    if not isinstance(data, dict):
        raise InputError(f"{place}: must be a mapping; write its title at least")
    if "folder" in data:
        raise InputError(f"{place}: folder: unknown key; the folder is where the file lies")
    try:
        item = AddOn.model_validate(data | {"folder": file.parent})
    except ValidationError as error:
        lines = []
        for one in error.errors(include_url=False):
            path = ".".join(str(part) for part in one["loc"])
            if one["type"] == "extra_forbidden":
                known = ", ".join(sorted(AddOn.model_fields.keys() - {"folder"}))
                lines.append(f"{place}: {path}: unknown key; known are: {known}")
            elif one["type"] == "missing":
                lines.append(f"{place}: {path}: is missing")
            else:
                lines.append(f"{place}: {path}: {one['input']}: {one['msg']}")
        raise InputError("\n".join(dict.fromkeys(lines))) from None
    brings = bool(item.manifest) or item.has("objects.yaml.j2") or item.has("patch.yaml.j2")
    if not brings and not item.has(HOST_FILE):
        raise InputError(
            f"{place}: brings no object and no role of machines; write objects.yaml.j2 or {HOST_FILE} "
            "beside it, or name a manifest"
        )
    for key in ("namespaces", "ready"):
        if brings and not getattr(item, key):
            raise InputError(f"{place}: {key}: is missing, and it has objects")
    if item.namespaces and not brings:
        raise InputError(f"{place}: namespaces: {', '.join(item.namespaces)}: it has no object there")
    named = {"ready": item.ready, "metrics": [pods.of for metrics in item.metrics for pods in metrics.pods]}
    for key, works in named.items():
        if others := [work for work in works if work.split("/")[1] not in item.namespaces]:
            raise InputError(f"{place}: {key}: {', '.join(others)}: in none of its namespaces")
    if item.when and not item.section:
        raise InputError(f"{place}: when: {item.when}: is about a section; write `section` as well")
    if item.provides and not item.has("client.py"):
        raise InputError(f"{place}: provides: {', '.join(item.provides)}: client.py is missing beside it")
    return item


def _ordered(items: Iterable[AddOn]) -> list[str]:
    """Names, each after its needs; those that could be next are taken by name."""
    sorter = TopologicalSorter({item.name: item.needs for item in items})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        first = error.args[1][0].replace("-", "_")
        raise InputError(
            f"addons/{first}/{FILE}: needs: a circle: {circle}", next_step="remove one of these needs"
        ) from None
    ordered: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        ordered += ready
        sorter.done(*ready)
    return ordered
