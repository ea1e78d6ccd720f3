"""The seed of a Raspberry Pi's card: what its `system-boot` partition holds before the first boot."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lab.errors import FailedError, InputError
from lab.inventory.hardware import raspberry_pis
from lab.inventory.models import Inventory
from lab.render.bundle import Bundle

COMMAND_LINE, CONFIG = "cmdline.txt", "config.txt"
FAT = ("vfat", "msdos", "fat")
LINUX = ("etc", "usr", "bin", "home", "var")
"""Folders of a root filesystem: a card's first partition has none of them."""


def write(wanted: Bundle, files: Mapping[str, str], folder: Path) -> list[str]:
    """Put `files` and the kernel options of the machine into `folder`; names of what was changed.

    Idempotent. Raises `InputError` for a folder that is not the first partition of an
    Ubuntu card, `FailedError` when the card cannot be written.
    """
    check(folder, mounts=Path("/proc/self/mountinfo").read_text())
    line = (folder / COMMAND_LINE).read_text()
    contents = {**files, COMMAND_LINE: command_line(line, wanted.kernel_options)}
    changed = [name for name, text in contents.items() if _differs(folder / name, text)]
    try:
        for name in changed:
            _replace(folder / name, contents[name])
    except OSError as error:
        raise FailedError(
            f"{folder}: cannot be written: {error.strerror}",
            next_step="mount the card for writing, try again",
        ) from error
    return changed


def command_line(text: str, options: tuple[str, ...]) -> str:
    """The kernel's command line on one line, with each of `options` once and at its end.

    The firmware reads the first line alone, so what stood on a second one never took effect; it prepends
    options of its own, of which ours must come last (raspberrypi/linux#6980). Raises `InputError` for a line
    that names no root filesystem: it is not the one of a system that boots.
    """
    words = [word for word in text.split() if word not in options]
    if not any(word.startswith("root=") for word in words):
        raise InputError(
            f"{COMMAND_LINE}: names no root filesystem (root=...), so it is not that of a bootable card",
            next_step="write the Ubuntu 24.04 image onto the card again",
        )
    return " ".join([*words, *options]) + "\n"


def check(folder: Path, *, mounts: str) -> None:
    """Refuse a folder that is not the first partition of an Ubuntu card; `mounts` is a mountinfo text."""
    where = f"--to {folder}"
    if not folder.is_dir():
        raise InputError(f"{where}: no such folder", next_step="mount the card's partition `system-boot`")
    top = [name for name in LINUX if (folder / name).is_dir()]
    if top:
        raise InputError(
            f"{where}: holds {', '.join(top)}: this is a root filesystem, and it is not touched",
            next_step="name the small partition, `system-boot`, not `writable`",
        )
    missing = [name for name in (COMMAND_LINE, CONFIG) if not (folder / name).is_file()]
    if missing:
        later = (folder / "current" / COMMAND_LINE).is_file()
        rule = "Ubuntu 25.10 and later keep it elsewhere" if later else "the card's first partition has both"
        raise InputError(
            f"{where}: no {' and no '.join(missing)}: {rule}",
            next_step="write Ubuntu Server 24.04 for Raspberry Pi onto the card, and mount `system-boot`",
        )
    kind = filesystem(folder, mounts)
    if kind and kind not in FAT:
        raise InputError(
            f"{where}: a mounted {kind}; the card's first partition is FAT",
            next_step="name the partition `system-boot`",
        )


def filesystem(folder: Path, mounts: str) -> str:
    """Type of the filesystem that is mounted exactly on `folder`; "" when none is (a copy of the files)."""
    wanted = str(folder.resolve())
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        # mountinfo writes a space as \\040 (proc(5))
        if before.split()[4].replace("\\040", " ") == wanted:
            return after.split()[0]
    return ""


def check_host(inventory: Inventory, name: str) -> None:
    """Refuse a machine that no card belongs to; raises `InputError` with those that have one."""
    pis = raspberry_pis(inventory)
    if name not in pis:
        raise InputError(
            f"{name}: is no Raspberry Pi of {inventory.lab}, so no card belongs to it",
            next_step=f"name one of {', '.join(pis)}" if pis else "set hardware: raspberry-pi-5 on the host",
        )


def _differs(path: Path, text: str) -> bool:
    try:
        return path.read_text() != text
    except (OSError, UnicodeDecodeError):
        return True


def _replace(path: Path, text: str) -> None:
    """Whole or not at all, and on the card before we say so: it is pulled out next."""
    part = path.with_name(f"{path.name}.new")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
