"""Runs on a host, sent over SSH to `python3 -c`: one round trip answers everything; changes nothing.

Standard library only, Python 3.10 or later (Ubuntu 22.04 has 3.10). Reads a request as JSON from standard
input, writes the answer as JSON to standard output.
"""

from __future__ import annotations

import base64
import grp
import json
import os
import pwd
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.hosts.remote_settled import control_plane

CLOUD_INIT = Path("/run/cloud-init")
TASKS = Path("/run/containerd/io.containerd.runtime.v2.task/k8s.io")
SANDBOXES = Path("/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes")
PENDING = Path(os.environ.get("PLUMBLINE_PENDING", "/var/lib/plumbline/pending.json"))
"""Commands that an interrupted change (`remote_change.py`) still owes; a test names another place."""


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


def look_at_units(names: list[str]) -> dict[str, dict[str, Any]]:
    """State of units, from one call."""
    asked = (
        "ActiveState,SubState,UnitFileState,NRestarts,NeedDaemonReload,MainPID,StateChangeTimestampMonotonic"
    )
    command = ["systemctl", "show", f"--property={asked}", *names]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in said.strip().split("\n\n")]
    # a clock that was set after a start does not move it: what the file times are compared with is of now
    started = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC)
    return {
        name: {
            "active": block.get("ActiveState", ""),
            "enabled": block.get("UnitFileState", ""),
            "sub": block.get("SubState", ""),
            # of services alone
            "restarts": int(block.get("NRestarts") or 0),
            "unread": block.get("NeedDaemonReload") == "yes",
            "process": int(block.get("MainPID") or 0),
            "since": started + int(block.get("StateChangeTimestampMonotonic") or 0) / 1e6,
        }
        for name, block in zip(names, blocks, strict=True)
    }


def look_at_static_pods(asked: dict[str, list[str]]) -> dict[str, dict[str, Any]]:
    """When each program of the control plane was started, and the times of the files that its flags name."""
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            program = Path(words[0]).name
            if program not in asked:
                continue
            # the start stands 20 fields behind the name, which may hold spaces and brackets (proc(5))
            ticks = int((folder / "stat").read_text().rpartition(")")[2].split()[19])
        except (OSError, ValueError):
            continue  # it has just ended
        flags = dict(word.removeprefix("--").partition("=")[::2] for word in words[1:])
        paths = {path for flag, path in flags.items() if path.startswith("/") and flag not in asked[program]}
        files = {path: Path(path).stat().st_mtime for path in sorted(paths) if Path(path).is_file()}
        if program in found and not files:
            continue  # somebody's own pod has such a program too
        found[program] = {"since": booted + ticks / os.sysconf("SC_CLK_TCK"), "files": files}
    return found


def written(path: Path) -> float | None:
    """When a file was written; None when there is none."""
    return path.stat().st_mtime if path.is_file() else None


def listed(*command: str) -> list[dict[str, Any]]:
    """What `ip -j` lists; nothing where it fails, as it does for a link that is not there."""
    done = subprocess.run(["ip", "-j", "-4", *command], capture_output=True, text=True, check=False)
    return json.loads(done.stdout or "[]") if done.returncode == 0 else []


def look_at_links(names: list[str]) -> dict[str, list[str]]:
    """IPv4 addresses of those links that are there; `ip -4` leaves out a link that has none."""
    found: dict[str, list[str]] = {name: [] for name in names if Path("/sys/class/net", name).exists()}
    for link in listed("address", "show"):
        if link.get("ifname") in found:
            found[link["ifname"]] = [f"{item['local']}/{item['prefixlen']}" for item in link["addr_info"]]
    return found


def look_at_routes() -> dict[str, str]:
    """Interface of each route to a network."""
    return {route["dst"]: route["dev"] for route in listed("route", "show") if "dev" in route}


def look_at_resolvers() -> dict[str, str]:
    """What the pods that run here were given as /etc/resolv.conf, by namespace/name.

    containerd keeps each pod's in its folder of sandboxes, and says in the sandbox's bundle whose it is. Of a
    pod whose sandbox died it keeps that one beside the new one for a while: the newest is the pod's.
    """
    found: dict[str, tuple[float, str]] = {}
    for config in TASKS.glob("*/config.json"):
        try:
            marks = json.loads(config.read_text()).get("annotations") or {}
            if marks.get("io.kubernetes.cri.container-type") == "sandbox":
                text = (SANDBOXES / config.parent.name / "resolv.conf").read_text()
                pod = "io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name"
                name, made = "/".join(marks[key] for key in pod), config.stat().st_mtime
                found[name] = max(found.get(name, (0.0, "")), (made, text))
        except (OSError, ValueError, KeyError):
            continue  # it has just ended
    return {name: text for name, (_, text) in found.items()}


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


def look_at_payload(asked: dict[str, list[str]]) -> dict[str, Any]:
    """Packages and modules that are missing, digests of programs, and images as containerd has them."""
    installed = set()
    if asked["packages"]:
        command = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\n"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        installed = {line.split()[0] for line in said.splitlines() if line.split()[1:] == ["ii"]}
    programs = [path for path in asked["programs"] if Path(path).is_file()]
    return {
        "missing_packages": [name for name in asked["packages"] if name not in installed],
        "missing_modules": [
            name for name in asked["modules"] if not Path("/sys/module", name.replace("-", "_")).exists()
        ],
        "programs": {path: digest(path) for path in programs},
        "images": images(),
    }


def digest(path: str) -> str:
    """SHA-256 of a file, hexadecimal."""
    import hashlib  # it loads OpenSSL, which machines that are asked for images alone do without

    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def images() -> dict[str, str] | None:
    """Ids of images by their references; None where no containerd answers."""
    if not (Path("/run/containerd/containerd.sock").exists() and Path("/usr/local/bin/crictl").exists()):
        return None
    command = ["/usr/local/bin/crictl", "images", "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    found: dict[str, str] = {}
    for image in json.loads(done.stdout)["images"]:
        found |= dict.fromkeys(image["repoTags"], image["id"].removeprefix("sha256:"))
    return found


def time_zone() -> str:
    """The zone that /etc/localtime leads to, its file's rule where it is no link; "" for UTC (tzfile(5))."""
    path = Path("/etc/localtime")
    rule = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2] if path.exists() else b"UTC0"
    if rule == b"UTC0":
        return ""
    leads = str(path.readlink()) if path.is_symlink() else ""
    return leads.partition("zoneinfo/")[2] or rule.decode(errors="replace")


def look(request: dict[str, Any]) -> dict[str, Any]:
    """Facts; changes nothing."""
    return {
        "files": {path: look_at_file(Path(path)) for path in request["files"]},
        "sysctls": {name: look_at_sysctl(name) for name in request["sysctls"]},
        "units": look_at_units(request["units"]),
        "booting": CLOUD_INIT.exists() and not (CLOUD_INIT / "result.json").exists(),
        "time_zone": time_zone(),
        "pending": json.loads(PENDING.read_text()) if PENDING.exists() else [],
        "client": client(),
        "firewall": look_at_firewall(request["firewall"]) if request["firewall"] else "",
        "written": {path: written(Path(path)) for path in request["written"]},
        "static_pods": look_at_static_pods(request["static_pods"]) if request["static_pods"] else {},
        "links": look_at_links(request["links"]) if request["links"] else {},
        "routes": look_at_routes() if request["links"] else {},
        "resolvers": look_at_resolvers() if request["links"] else {},
        "exists": {path: Path(path).exists() for path in request["exists"]},
        "strangers": {
            path: seen
            for pattern in request["owned"]
            for path in sorted(map(str, Path("/").glob(pattern[1:])))
            if path not in request["files"] and (seen := look_at_file(Path(path)))
        },
        "payload": look_at_payload(request["payload"]) if request["payload"] else {},
        "control_plane": control_plane(request["control_plane"]) if request["control_plane"] else None,
    }


if __name__ == "__main__":
    json.dump(look(json.load(sys.stdin)), sys.stdout)
