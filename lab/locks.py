"""One command at a time may change a lab, whichever checkout it comes from."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from lab.errors import PreflightError
from lab.labs import Lab
from lab.local import own_folder


@contextmanager
def exclusive(lab: Lab, command: str) -> Iterator[None]:
    """Hold the lab while the block runs; the kernel releases it when its process ends.

    Raises `PreflightError` naming the command, process and start time of the owner, and where no lock can be.
    """
    folder = lab.keys.folder
    own_folder(folder)
    owner = folder / "owner.json"
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        try:
            held = json.loads(owner.read_text())
            who = f"`{held['command']}` (process {held['pid']}, since {held['since']}, in {held['checkout']})"
        except (OSError, ValueError, KeyError):
            who = "another command"
        raise PreflightError(
            f"{lab.inventory.lab}: {who} is at work on this lab", next_step="wait for it, or end that process"
        ) from error
    try:
        owner.write_text(
            json.dumps(
                {
                    "command": command,
                    "pid": os.getpid(),
                    "since": f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC",
                    "checkout": str(lab.root),
                }
            )
        )
        lab.hold()
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
