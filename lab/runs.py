"""A folder of evidence for each run: `.lab/<lab>/runs/<UTC time>/`, with `last` pointing at the newest."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.errors import PreflightError

SECRETS = re.compile(
    r"(?P<token>\b[a-z0-9]{6}\.[a-z0-9]{16}\b)"
    r"|(?P<key>\b[0-9a-f]{64}\b(?<!sha256:))"
    r"|(?P<apitoken>(?<=PVEAPIToken=)\S+)"
    r"|(?P<kubeconfig>(?<=client-key-data: )\S+)"
    r"|(?P<pem>-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----)",
    re.DOTALL,
)
"""Bootstrap tokens, kubeadm certificate keys (64 hex digits), API tokens of Proxmox VE, the key of a
kubeconfig, private keys."""
_SIGNS = ("PVEAPIToken=", "client-key-data: ", "PRIVATE KEY-----")
_TOKEN_END = re.compile(r"\.[a-z0-9]{16}")
_IS_HEX = bytes(chr(code) in "0123456789abcdef" for code in range(256))
_KEY = b"\x01" * 64
"""What stands in every secret, looked for first: most files hold none, and these looks are much faster."""


def _suspect(text: str) -> bool:
    """Whether a text may hold a secret. A run of hex digits is sought in a map of them: bytes 1 for each."""
    return (
        any(sign in text for sign in _SIGNS)
        or _TOKEN_END.search(text) is not None
        or _KEY in text.encode(errors="replace").translate(_IS_HEX)
    )


def mask(text: str) -> str:
    """Replace secrets by their kind. A digest (`sha256:...`) is no secret and stays."""
    if not _suspect(text):
        return text
    return SECRETS.sub(
        lambda m: m.group(0) if text[max(0, m.start() - 7) : m.start()] == "sha256:" else f"<{m.lastgroup}>",
        text,
    )


class MaskingFormatter(logging.Formatter):
    """Formats for the debug log with secrets masked."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))


class _Log(logging.FileHandler):
    """The debug log. A line that cannot be written ends no command: what is at work may be healing a lab."""

    lost: OSError | None = None
    """Why the log is not whole."""

    def handleError(self, record: logging.LogRecord) -> None:  # as logging calls it
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.lost = self.lost or error
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # what it could not write before is tried once more
            self.lost = self.lost or error


class Run:
    """One invocation: its folder, its debug log and its timeline.

    Raises `PreflightError` where no evidence can be kept: what root has run in this checkout is root's.
    """

    def __init__(self, root: Path, lab: str, command: str) -> None:
        self.lab_folder = root / ".lab" / lab
        self.command = command
        now = datetime.now(UTC)
        self.folder = self.lab_folder / "runs" / f"{now:%Y%m%dT%H%M%S.%f}Z"
        try:
            self._handler = self._begin()
        except OSError as error:
            there = next(folder for folder in self.folder.parents if os.path.lexists(folder))
            raise PreflightError(
                f"{self.folder}: cannot be written: {error.strerror}",
                next_step="run the same command as root, for instance with sudo"
                if isinstance(error, PermissionError)
                else f"df -h {there}; free some space there, or mount it for writing",
            ) from None
        self._begun = time.monotonic()
        self._started = now
        self._lock = threading.Lock()
        self._events: list[dict[str, Any]] = []
        logger = logging.getLogger("plumbline")
        logger.setLevel(logging.DEBUG)
        logger.propagate = False
        logger.addHandler(self._handler)

    def _begin(self) -> _Log:
        """Make the folder, point `last` at it and open its log."""
        self.folder.mkdir(parents=True)
        fresh = self.folder.with_name(f"{self.folder.name}.link")
        fresh.symlink_to(self.folder.name)
        fresh.replace(self.lab_folder / "runs" / "last")
        log = self.folder / "debug.log"
        log.write_text(f"invoke {self.command}\n")  # a full disk takes folders and empty files, and no text
        handler = _Log(log)
        handler.setFormatter(MaskingFormatter("%(asctime)s %(levelname)s %(threadName)s %(message)s"))
        return handler

    def close(self) -> None:
        """Stop writing to this run's log; say so if it is not whole."""
        logging.getLogger("plumbline").removeHandler(self._handler)
        self._handler.close()
        if self._handler.lost:
            log = self._handler.baseFilename
            print(
                f"warning: {log}: is not whole: {self._handler.lost.strerror}\n"
                f"  next: df -h {self.folder}; free some space there",
                file=sys.stderr,
            )

    @contextmanager
    def event(self, phase: str, host: str) -> Iterator[dict[str, Any]]:
        """Record one piece of work; the block may set `changed` on the dictionary it gets.

        `timeline.json` is rewritten after each event, so that a killed run leaves what it knew.
        """
        entry: dict[str, Any] = {
            "phase": phase,
            "host": host,
            "start": self._now(),
            "end": None,
            "changed": False,
        }
        with self._lock:
            self._events.append(entry)
        self._write()
        try:
            yield entry
        finally:
            entry["end"] = self._now()
            self._write()

    @property
    def events(self) -> list[dict[str, Any]]:
        """All events so far: phase, host, start and end in seconds since the run began, changed."""
        return list(self._events)

    def _now(self) -> float:
        return round(time.monotonic() - self._begun, 3)

    def _write(self) -> None:
        with self._lock:
            document = {"command": self.command, "started": self._started.isoformat(), "events": self._events}
            target = self.folder / "timeline.json"
            part = target.with_suffix(".part")
            part.write_text(mask(json.dumps(document, indent=1)))
            part.replace(target)

    def keep(self, name: str, text: str, *, private: bool = False) -> Path:
        """Write a file of evidence below the run's folder, secrets masked unless `private` (mode 600)."""
        path = self.folder / name
        if not path.parent.is_dir():
            # hosts are worked on by threads, and several of them may be the first in a folder
            path.parent.mkdir(parents=True, exist_ok=True)
        with open(
            path, "w", opener=lambda name, flags: os.open(name, flags, 0o600 if private else 0o644)
        ) as file:
            file.write(text if private else mask(text))
        return path
