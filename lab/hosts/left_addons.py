"""What add-ons that left the inventory, or an older version of one, made on a host: named and taken away.

Each record there (`lab.render.record`) says it. Values of the kernel stay as they are until the next boot.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import PurePosixPath

from pydantic import ValidationError

from lab.errors import FailedError
from lab.hosts.changes import HostChange
from lab.hosts.held import HeldFile
from lab.render.bundle import Bundle
from lab.render.record import PATTERN, HostRecord

STOP = "! systemctl cat {unit} >/dev/null 2>&1 || systemctl disable --quiet --now {unit}"
"""Of a unit that is not there nothing is left to stop; `disable` takes one without [Install] as well."""


def is_record(path: str) -> bool:
    """Whether a file of a host says what an add-on made there."""
    return fnmatch(path, PATTERN)


def removals(
    wanted: Bundle, files: Mapping[str, HeldFile | None], strangers: Mapping[str, HeldFile]
) -> Iterator[HostChange]:
    """What is to be taken away: of add-ons that left, and what those that stay make no more.

    A record that left goes last, so that a removal which was interrupted is told and finished. Raises
    `FailedError` for a record that cannot be read.
    """
    for path, held in strangers.items():
        if is_record(path):
            addon = PurePosixPath(path).stem
            yield from _taken(wanted, addon, _read(wanted.host, path, held), "left the inventory")
            gone = ("sh", "-ec", f"systemctl daemon-reload && rm -f {shlex.quote(path)}")
            yield HostChange(f"remove {path}", commands=(gone,))
    for file in wanted.files:
        before = files.get(file.path) if is_record(file.path) else None
        if before and before.content != file.text:
            old = _read(wanted.host, file.path, before).without(HostRecord.model_validate_json(file.text))
            yield from _taken(wanted, PurePosixPath(file.path).stem, old, "makes it no more")


def _read(host: str, path: str, held: HeldFile) -> HostRecord:
    try:
        return HostRecord.model_validate_json(held.content)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise FailedError(
            f"{host}: {path}: does not say what the add-on made here: {told}",
            next_step=f"invoke ssh {host}: take away by hand what it made, then the file",
        ) from error


def _taken(wanted: Bundle, addon: str, old: HostRecord, why: str) -> Iterator[HostChange]:
    """One change for each thing, units first; what somebody else of the lab has by now stays.

    A file's folder goes when it is empty, as that of any other file that is removed; a program's never.
    """
    units = {unit.name for unit in wanted.units}
    kept = {file.path for file in wanted.files} | {item.path for item in wanted.binaries}
    kept |= {item.folder for item in wanted.certificates}
    for unit in old.units:
        if unit not in units:
            stop = ("sh", "-ec", STOP.format(unit=shlex.quote(unit)))
            yield HostChange(f"stop and disable {unit}: add-on {addon} {why}", commands=(stop,))
    away = {path: f"rm -rf --one-file-system {shlex.quote(path)}" for path in old.folders}
    for path in old.files:
        folder = shlex.quote(str(PurePosixPath(path).parent))
        away[path] = (
            f"rm -f {shlex.quote(path)}; test ! -d {folder} || rmdir --ignore-fail-on-non-empty {folder}"
        )
    away |= {path: f"rm -f {shlex.quote(path)}" for path in old.programs}
    for path, line in away.items():
        if path not in kept:
            yield HostChange(f"remove {path}: add-on {addon} {why}", commands=(("sh", "-ec", line),))
