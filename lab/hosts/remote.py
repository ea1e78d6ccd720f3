"""Runs on a host, sent over SSH to `python3 -c`: one round trip answers or changes everything.

Standard library only, Python 3.10 or later (Ubuntu 22.04 has 3.10). Reads a request as JSON from standard
input, writes the answer as JSON to standard output.
"""

from __future__ import annotations

import base64
import contextlib
import grp
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

CLOUD_INIT = Path("/run/cloud-init")
PENDING = Path(os.environ.get("PLUMBLINE_PENDING", "/var/lib/plumbline/pending.json"))
"""Commands that an interrupted change still owes; a test names another place."""


def look_at_file(path: Path) -> dict[str, str] | None:
    """Text (base64), mode and owner of a file; None when there is none."""
    try:
        content = path.read_bytes()
        status = path.stat()
    except OSError:
        return None
    owner = f"{name_of(pwd.getpwuid, status.st_uid)}:{name_of(grp.getgrgid, status.st_gid)}"
    return {
        "text": base64.b64encode(content).decode(),
        "mode": f"0{status.st_mode & 0o777:o}",
        "owner": owner,
    }


def name_of(find: Callable[[int], Any], number: int) -> str:
    """Name of a user or group, or its number when it has none."""
    try:
        return str(find(number)[0])
    except KeyError:
        return str(number)


def look_at_sysctl(name: str) -> str | None:
    """The running value of a sysctl; None when the kernel has no such name."""
    try:
        return "\t".join(Path("/proc/sys", name.replace(".", "/")).read_text().split())
    except OSError:
        return None


def look_at_units(names: list[str]) -> dict[str, dict[str, str]]:
    """Active and enabled state of units, from one call."""
    command = ["systemctl", "show", "--property=ActiveState,UnitFileState", *names]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in said.strip().split("\n\n")]
    return {
        name: {"active": block.get("ActiveState", ""), "enabled": block.get("UnitFileState", "")}
        for name, block in zip(names, blocks, strict=True)
    }


def client() -> str:
    """The address from which this program's SSH session comes, as the host sees it; "" without one.

    sudo hides the session's environment, so that of the processes above is read.
    """
    process = os.getppid()
    while process > 1:
        try:
            environment = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
            # the parent stands behind the name, which may hold spaces and brackets
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            return ""
        for entry in environment:
            if entry.startswith(b"SSH_CONNECTION="):
                return entry.partition(b"=")[2].split()[0].decode()
    return ""


def rules(*command: str) -> Any:
    """A table of nftables as the kernel holds it, without counters and numbers; None when there is none."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    if done.returncode:
        return None
    return [steady(item) for item in json.loads(done.stdout)["nftables"] if "metainfo" not in item]


def steady(value: Any) -> Any:
    """A JSON value without what the kernel counts or numbers anew on every load."""
    if isinstance(value, dict):
        moving = ("handle", "bytes", "packets", "index")
        return {key: steady(item) for key, item in value.items() if key not in moving}
    return [steady(item) for item in value] if isinstance(value, list) else value


def look_at_firewall(asked: dict[str, str]) -> str:
    """`missing` or `differs` when the rules in force are not those of the file; "" when they are.

    The file is loaded into a network namespace where it rules nothing, to be told in the kernel's own words.
    """
    show = f"nft -j list table {asked['table']}"
    wanted = rules("unshare", "--net", "sh", "-c", f"nft -f {asked['file']} && {show}")
    held = rules(*show.split())
    return "" if wanted is None or held == wanted else "missing" if held is None else "differs"


def look_at_equipment(asked: dict[str, list[str]]) -> dict[str, Any]:
    """Packages and modules that are missing, digests of programs, and ids of images by their references."""
    said = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    installed = {line.split()[0] for line in said.splitlines() if line.split()[1:] == ["ii"]}
    programs = [path for path in asked["programs"] if Path(path).is_file()]
    images: dict[str, str] = {}
    if Path("/run/containerd/containerd.sock").exists() and Path("/usr/local/bin/crictl").exists():
        listed = subprocess.run(
            ["/usr/local/bin/crictl", "images", "-o", "json"], capture_output=True, text=True, check=False
        )
        # a containerd that does not answer holds nothing that we could count on
        for image in json.loads(listed.stdout)["images"] if listed.returncode == 0 else []:
            images |= dict.fromkeys(image["repoTags"], image["id"].removeprefix("sha256:"))
    return {
        "missing_packages": [name for name in asked["packages"] if name not in installed],
        "missing_modules": [
            name for name in asked["modules"] if not Path("/sys/module", name.replace("-", "_")).exists()
        ],
        "programs": {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in programs},
        "images": images,
    }


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Facts; changes nothing."""
    return {
        "files": {path: look_at_file(Path(path)) for path in request["files"]},
        "sysctls": {name: look_at_sysctl(name) for name in request["sysctls"]},
        "units": look_at_units(request["units"]),
        "booting": CLOUD_INIT.exists() and not (CLOUD_INIT / "result.json").exists(),
        "pending": json.loads(PENDING.read_text()) if PENDING.exists() else [],
        "client": client(),
        "firewall": look_at_firewall(request["firewall"]) if request["firewall"] else "",
        "exists": {path: Path(path).exists() for path in request["exists"]},
        "strangers": {
            path: seen
            for pattern in request["owned"]
            for path in sorted(map(str, Path("/").glob(pattern[1:])))
            if path not in request["files"] and (seen := look_at_file(Path(path)))
        },
        "equipment": look_at_equipment(request["equipment"]) if request["equipment"] else {},
    }


def write_file(wanted: dict[str, str]) -> None:
    """Put a file in place in one step, with mode and owner already right."""
    path = Path(wanted["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    # a bind-mounted or linked file (resolv.conf) cannot be renamed over: it is written in place
    in_place = path.is_symlink() or os.path.ismount(path)
    target = path if in_place else path.with_name(path.name + ".plumbline")
    if not in_place:
        target.touch(mode=0o600)
    target.write_bytes(base64.b64decode(wanted["text"]))
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
    asked = json.load(sys.stdin)
    json.dump(look(asked) if asked["verb"] == "look" else change(asked), sys.stdout)
