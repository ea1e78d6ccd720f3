"""Secrets of an add-on that people have: files of this machine, whose paths alone stand in the inventory."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab.errors import PreflightError
from lab.inventory.problems import Loc, dotted

LONGEST = 64 * 1024
"""Bytes: of what is longer somebody has named the wrong file."""
FIX = "install -m 600 /dev/stdin {file}"


@dataclass(frozen=True)
class OutsideSecret:
    """A Secret of the cluster: for each of its keys the path of a file, and where the inventory names it."""

    namespace: str
    name: str
    files: Mapping[str, tuple[str, Loc]]

    def held(self, root: Path) -> dict[str, str]:
        """What the files hold, by key, without blanks around it; `root` is the checkout.

        Raises `PreflightError` with everything that is wrong with them.
        """
        if problems := self.problems(root):
            said = "; ".join(f"{place}: {file}: {why}" for place, file, why in problems)
            raise PreflightError(said, next_step=FIX.format(file=problems[0][1]))
        return {key: Path(path).expanduser().read_text().strip() for key, (path, _) in self.files.items()}

    def problems(self, root: Path) -> list[tuple[str, Path, str]]:
        """Place in the inventory, file and reason for each that cannot be taken. Changes nothing."""
        files = ((dotted(place), Path(path).expanduser()) for path, place in self.files.values())
        return [(place, file, why) for place, file in files if (why := _unfit(file, root))]


def _unfit(file: Path, root: Path) -> str:
    try:
        found = file.stat()
        if not stat.S_ISREG(found.st_mode):
            return "is no file"
        if stat.S_IMODE(found.st_mode) & 0o077:
            return "others can read this secret"
        if found.st_size > LONGEST:
            return f"is longer than {LONGEST} bytes, so it is no secret of a receiver"
        if file.resolve().is_relative_to(root.resolve()):
            return "lies in the checkout, where it would be committed"
        return "" if file.read_text(encoding="utf-8").strip() else "is empty"
    except UnicodeDecodeError:
        return "is no text"
    except OSError as error:
        return error.strerror or type(error).__name__
