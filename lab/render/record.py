"""What an add-on's roles make on a machine, written down there, as the label is on objects of the cluster.

When the add-on leaves the inventory, what it made is told by the machine itself: the add-on's folder may be
gone from the checkout by then, or make other things in another version.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import StringConstraints

from lab.addons.model import Data
from lab.render.role import AddOnRole, OwnFolder, UnitName

FOLDER = "/var/lib/plumbline/addons"
PATTERN = f"{FOLDER}/*.json"
UNITS = "/etc/systemd/system"
OwnFile = Annotated[str, StringConstraints(pattern=r"^(/[\w@.+-]+){2,}$")]


class HostRecord(Data):
    """Units that are enabled or may run, folders that are removed whole, files, and programs."""

    units: tuple[UnitName, ...] = ()
    folders: tuple[OwnFolder, ...] = ()
    files: tuple[OwnFile, ...] = ()
    programs: tuple[OwnFile, ...] = ()

    def without(self, other: HostRecord) -> HostRecord:
        """What this one has and the other has not."""
        return HostRecord(
            units=tuple(item for item in self.units if item not in other.units),
            folders=tuple(item for item in self.folders if item not in other.folders),
            files=tuple(item for item in self.files if item not in other.files),
            programs=tuple(item for item in self.programs if item not in other.programs),
        )

    @property
    def text(self) -> str:
        """As it is written."""
        return json.dumps(self.model_dump(), indent=2) + "\n"


def path_of(addon: str) -> str:
    """Where the record of an add-on lies, by its name."""
    return f"{FOLDER}/{addon}.json"


def record(roles: Iterable[AddOnRole], files: Iterable[str]) -> HostRecord:
    """What the roles of one add-on make on a machine; `files` are the paths of those that are rendered.

    What is enabled comes first: a socket or a timer that still runs would start its service again.
    """
    listed, written = tuple(roles), tuple(files)
    enabled = [unit.name for role in listed for unit in role.units]
    brought = [PurePosixPath(path) for path in written if path.startswith(f"{UNITS}/")]
    # of a template there are its instances alone, which are enabled, or end with their socket
    others = [item.name for item in brought if str(item.parent) == UNITS and "@." not in item.name]
    certificates = [item.folder for role in listed for item in role.certificates]
    return HostRecord(
        units=tuple(dict.fromkeys([*enabled, *others])),
        folders=(*certificates, *(folder for role in listed for folder in role.made)),
        files=written,
        programs=tuple(item.path for role in listed for item in role.binaries),
    )


def records(rendered: Iterable[tuple[AddOnRole, list[str]]]) -> Iterator[tuple[str, str]]:
    """Path and text of the record of each add-on that makes something on a machine.

    `rendered` are the machine's roles of add-ons, each with the paths of its files.
    """
    found: dict[str, list[tuple[AddOnRole, list[str]]]] = {}
    for role, paths in rendered:
        found.setdefault(role.name, []).append((role, paths))
    for addon, parts in found.items():
        made = record((role for role, _ in parts), (path for _, paths in parts for path in paths))
        if made != HostRecord():
            yield path_of(addon), made.text
