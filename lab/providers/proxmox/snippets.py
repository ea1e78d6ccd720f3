"""Vendor data on the hypervisor: files in the folder of a storage, because the API cannot write them."""

from __future__ import annotations

import os
import shlex
import threading
from pathlib import Path

from lab.errors import CommandError, FailedError
from lab.local import run
from lab.providers.proxmox.section import Snippets

NODE = "{node}"
"""Stands for the hypervisor in proxmox.snippets.folder."""
SECONDS = 30.0
_SSH = ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10")
_LOGINS = threading.BoundedSemaphore(8)
"""At the same time: from the eleventh on, sshd drops some that have not logged in yet (MaxStartups)."""


class SnippetFolder:
    """The snippets of one hypervisor node, in a mounted folder or behind SSH as the user's own keys allow."""

    def __init__(self, settings: Snippets, node: str) -> None:
        self.text = settings.folder.replace(NODE, node)
        login, colon, folder = self.text.partition(":")
        self._login, self._folder = (login, folder) if colon else ("", self.text)

    def refuse_unusable(self) -> None:
        """Raise `FailedError` when nothing can be written there, with the reason."""
        if self._login:
            self._over_ssh('cd "$1" && test -w .', self._folder)
        elif not os.access(self._folder, os.W_OK | os.X_OK):
            raise FailedError(
                f"proxmox.snippets.folder: {self.text}: there is no such folder, or it cannot be written",
                next_step="mount the storage there, or write USER@HOST:/FOLDER",
            )

    def write(self, name: str, text: str) -> bool:
        """Write a file whole or not at all, readable by its owner alone: it holds a host key. True if new."""
        target = f"{self._folder}/{name}"
        if self._read(name) == text:
            return False
        if self._login:
            script = 'umask 077 && cat > "$1.part" && mv "$1.part" "$1"'
            self._over_ssh(script, target, text)
            return True
        part = Path(f"{target}.part")
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        part.replace(target)
        return True

    def remove(self, name: str) -> bool:
        """Remove it, and what a write that was cut short has left of it. True when there was such a file."""
        target = f"{self._folder}/{name}"
        if self._login:
            script = 'rm -f "$1.part"; test ! -e "$1" || { rm "$1" && echo removed; }'
            return self._over_ssh(script, target) != ""
        Path(f"{target}.part").unlink(missing_ok=True)
        there = Path(target).exists()
        Path(target).unlink(missing_ok=True)
        return there

    def names(self, prefix: str) -> tuple[str, ...]:
        """Files that begin so, sorted. Raises `FailedError` when the folder cannot be read."""
        if self._login:
            listed = self._over_ssh('cd "$1" && ls', self._folder).splitlines()
        else:
            try:
                listed = [entry.name for entry in Path(self._folder).iterdir()]
            except OSError as error:
                raise FailedError(
                    f"proxmox.snippets.folder: {self.text}: {error.strerror}",
                    next_step="mount the storage there, or write USER@HOST:/FOLDER",
                ) from error
        return tuple(sorted(name for name in listed if name.startswith(prefix)))

    def _read(self, name: str) -> str | None:
        if self._login:
            return self._over_ssh('test ! -e "$1" || cat "$1"', f"{self._folder}/{name}") or None
        file = Path(self._folder, name)
        return file.read_text() if file.is_file() else None

    def _over_ssh(self, script: str, argument: str, stdin: str = "") -> str:
        remote = shlex.join(["sh", "-ec", script, "sh", argument])
        with _LOGINS:
            done = run([*_SSH, self._login, remote], timeout=SECONDS, check=False, input=stdin)
        if done.code != 0:
            raise CommandError(
                self._login,
                f"proxmox.snippets.folder: {script}",
                done.code,
                done.stderr,
                next_step=f"ssh {self._login} must work without a password, and write to {self._folder}",
            )
        return done.stdout
