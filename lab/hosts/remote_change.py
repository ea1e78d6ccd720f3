"""Runs on a host, sent over SSH to `python3 -c`: one round trip changes everything.

Standard library only, Python 3.10 or later (Ubuntu 22.04 has 3.10). Reads a request as JSON from standard
input, writes the answer as JSON to standard output.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

PENDING = Path(os.environ.get("PLUMBLINE_PENDING", "/var/lib/plumbline/pending.json"))
"""Commands that an interrupted change still owes, as `remote_look.py` tells; a test names another place."""


def write_file(wanted: dict[str, str]) -> None:
    """Put a file in place in one step, with mode and owner already right."""
    path = Path(wanted["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    # a bind-mounted or linked file (resolv.conf) cannot be renamed over: it is written in place
    content = base64.b64decode(wanted["text"])
    # right content keeps its time, by which those are told who run with an older one
    same = path.is_file() and path.read_bytes() == content
    in_place = same or path.is_symlink() or os.path.ismount(path)
    target = path if in_place else path.with_name(path.name + ".plumbline")
    if not in_place:
        target.touch(mode=0o600)
    if not same:
        target.write_bytes(content)
    user, group = wanted["owner"].split(":")
    shutil.chown(target, user, group)
    target.chmod(int(wanted["mode"], 8))
    if not in_place:
        target.replace(path)


def remove_file(path: Path) -> None:
    """Remove a file, and its folder if nothing else is in it."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def change(request: dict[str, Any]) -> dict[str, Any]:
    """Write and remove files, then run commands; stops at the first that fails and tells its output.

    The commands are noted down first: when this run dies between a file and its action, the file is right
    already, and only the note tells the next run that the action is still owed.
    """
    note(request["commands"])
    for wanted in request["write"]:
        write_file(wanted)
    for path in request["remove"]:
        remove_file(Path(path))
    for command in request["commands"]:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode:
            return {"failed": command, "code": done.returncode, "output": done.stdout}
    PENDING.unlink(missing_ok=True)
    return {"failed": None}


def note(commands: list[list[str]]) -> None:
    """Remember what is still to be run, in one step."""
    PENDING.parent.mkdir(parents=True, exist_ok=True)
    part = PENDING.with_suffix(".part")
    part.write_text(json.dumps(commands))
    part.replace(PENDING)


if __name__ == "__main__":
    json.dump(change(json.load(sys.stdin)), sys.stdout)
