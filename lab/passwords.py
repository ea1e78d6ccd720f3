"""Passwords by which people log in to what runs on a lab: made once, and kept in the user's data folder.

A file holds one password. It may be edited: the next build brings what stands there to the lab.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from filelock import FileLock

from lab.errors import FailedError
from lab.local import own_folder

RANDOM_BYTES = 18
"""144 bits: 24 letters, digits, - and _, which a person can type and every program takes."""
LONGEST = 256
"""Characters of a password that a person has written."""


class Passwords:
    """The passwords of one lab, each in a file of `folder` that its user alone can read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, namespace: str, name: str) -> Path:
        """Where the password of a Secret is kept."""
        return self._folder / f"{namespace}.{name}"

    def kept(self, namespace: str, name: str) -> str:
        """The password of a Secret; "" when none is kept.

        Raises `FailedError` for a file that others can read, or that holds no password.
        """
        path = self.file(namespace, name)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "is no text"
            raise FailedError(f"{path}: {why}", next_step=_anew(path)) from None
        if mode & 0o077:
            raise FailedError(
                f"{path}: has mode {mode:o}: others can read the password; it must have 600",
                next_step=f"chmod 600 {path}",
            )
        value = text.removesuffix("\n")
        if not (value.isprintable() and 0 < len(value) <= LONGEST) or value != value.strip():
            raise FailedError(
                f"{path}: must hold one line of 1 to {LONGEST} characters, with no space around it",
                next_step=f"write one, or {_anew(path)}",
            )
        return value

    def keep(self, namespace: str, name: str, value: str) -> str:
        """Keep a password, unless one is kept already; the one that is."""
        path = self.file(namespace, name)
        own_folder(path.parent)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.exists():
                part = path.with_name(f".{path.name}.{os.getpid()}")
                part.touch(mode=0o600)
                part.write_text(f"{value}\n", encoding="utf-8")
                part.replace(path)
        return self.kept(namespace, name)

    def make(self, namespace: str, name: str) -> str:
        """A new password, unless one is kept already; the one that is."""
        return self.keep(namespace, name, secrets.token_urlsafe(RANDOM_BYTES))


def _anew(path: Path) -> str:
    return f"rm {path}: that of the lab is taken, or a new one made"
