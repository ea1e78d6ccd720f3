"""From `-i NAME` to the text of a file: found, small enough, and text at all."""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from lab.errors import InputError
from lab.inventory.problems import shown

FOLDER = Path(__file__).resolve().parents[2] / "inventory"
MAX_BYTES = 1 << 20
"""1,000 machines with every field written are a quarter of this."""


def locate(name_or_path: str) -> Path:
    """The file of an inventory: `NAME` is inventory/NAME.yaml beside tasks.py, anything else is a path.

    Raises `InputError` when there is none, with the names that exist.
    """
    # `.` and `..` are folders, and what begins with a dot is no lab's name
    is_name = "/" not in name_or_path and not (
        name_or_path.endswith((".yaml", ".yml")) or name_or_path.startswith(".")
    )
    path = FOLDER / f"{name_or_path}.yaml" if is_name else Path(name_or_path)
    with suppress(OSError):  # under a name that the system refuses there is nothing
        if "\0" not in name_or_path and name_or_path and path.exists():
            return path
    known = sorted(file.stem for file in FOLDER.glob("*.yaml"))
    given = shown(name_or_path) or '""'
    kind = f"inventory {given}" if is_name else f"inventory file {given}"
    wanted = str(path.relative_to(FOLDER.parent)) if is_name else "that path"
    raise InputError(
        f"{kind}: {wanted} does not exist; there are: {', '.join(known) or 'none'}",
        next_step=f"invoke init {name_or_path}" if is_name and name_or_path else "correct the path after -i",
    )


def display(path: Path) -> str:
    """A path as people type it: relative to where they stand, or to the checkout."""
    absolute = path.resolve()
    for base in (Path.cwd(), FOLDER.parent):
        if absolute.is_relative_to(base):
            return str(absolute.relative_to(base))
    return str(path)


def read_text(path: Path) -> str:
    """The text of a file: UTF-8, a byte order mark and CRLF line ends are taken away.

    Raises `InputError` for what is no regular file, unreadable, empty, longer than `MAX_BYTES` or not text.
    """
    name = display(path)
    try:
        if path.is_dir():
            files = ", ".join(sorted(file.name for file in path.glob("*.y*ml"))) or "no YAML file"
            raise InputError(f"{name}: is a folder with {files} in it; name the inventory's file after -i")
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{name}: is not a regular file; name the inventory's YAML file after -i")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{name}: cannot be read: {error.strerror}; check its rights and the path") from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"{name}: is larger than {MAX_BYTES >> 20} MiB; an inventory is one lab, split it")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw:
        raise InputError(f"{name}: is binary or UTF-16, not UTF-8 text; save it as UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise InputError(f"{name}:{line}: holds bytes that are not UTF-8; save the file as UTF-8") from None
    if not text.strip():
        raise InputError(f"{name}: is empty; write one with `invoke init`")
    return text.replace("\r\n", "\n").replace("\r", "\n")
