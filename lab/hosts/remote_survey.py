"""Runs on a host, sent over SSH to `python3 -c`: what is there beside what was declared, in one round trip.

Standard library only, Python 3.10 or later. Changes nothing. Reads a request as JSON from standard input and
writes one JSON object: a value for each section, or `{"error": text}` for one that could not be read. It
judges nothing; `survey.py` beside it holds the record of each section.
"""

from __future__ import annotations

import grp
import json
import pwd
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.hosts.remote_answer import answer
from lab.hosts.remote_places import above, cgroup, entry, matching, program, said, shipped, state

KEY = re.compile(r"PRIVATE KEY-----|^\s*client-key-data: *\S", re.MULTILINE)
TOKEN = re.compile(
    r"^\s*(?:- )?(?:token|tlsBootstrapToken): *[\"']?[a-z0-9]{6}\.[a-z0-9]{16}\b", re.MULTILINE
)
SERVER = re.compile(r"^\s*(?:server|apiServerEndpoint): *[\"']?(?:https://)?([^\s\"']+)", re.MULTILINE)
LARGEST = 262144
"""Bytes of a file in which secrets are sought."""


def states(request: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Mode and owner of all that matches the asked patterns."""
    return {str(path): state(path) for path in matching(request["states"])}


def entries(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Every file that matches the asked patterns, with the package that brought it."""
    paths = [path for path in matching(request["entries"]) if not path.is_dir()]
    owners = shipped(map(str, paths))
    return [entry(path, *owners.get(str(path), ("", ""))) for path in paths]


def units(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Units that are enabled, run, were asked for, or have a file that no package brought."""
    listed = [line.split()[:2] for line in said("systemctl", "list-unit-files", "--no-legend").splitlines()]
    names = {name for name, how in listed if how.startswith(("enabled", "masked")) and "@." not in name}
    loaded = said("systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager").splitlines()
    names |= {line.split()[0] for line in loaded if line.strip()} | {*request["units"]}
    kinds = (".service", ".socket", ".timer", ".path", ".swap")
    wanted = sorted(name for name in names if name.endswith(kinds))
    asked = "Id,ActiveState,UnitFileState,FragmentPath,DropInPaths,Transient"
    blocks = said("systemctl", "show", f"--property={asked}", *wanted).strip().split("\n\n")
    shown = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]
    # a unit has one Id and may have several names; what is not set may be left out
    known = {item["Id"]: {key: item.get(key, "") for key in asked.split(",")} for item in shown}
    drop_ins = {path for item in known.values() for path in item["DropInPaths"].split()}
    owners = shipped({item["FragmentPath"] for item in known.values()} | drop_ins)
    return [
        {
            "name": name,
            "active": item["ActiveState"],
            "enabled": item["UnitFileState"],
            "file": item["FragmentPath"],
            "package": owners.get(item["FragmentPath"], ("", ""))[0],
            "transient": item["Transient"] == "yes",
            "drop_ins": [path for path in item["DropInPaths"].split() if path not in owners],
        }
        for name, item in sorted(known.items())
    ]


def boot(_: dict[str, Any]) -> dict[str, Any]:
    """What the next boot starts from: target and fstab; and the kubelet's command line of now."""
    running = [path for path in Path("/proc").glob("[0-9]*") if program(path) == "kubelet"]
    words = (running[0] / "cmdline").read_bytes().decode(errors="replace") if running else ""
    return {
        "target": said("systemctl", "get-default").strip(),
        "kubelet": words.rstrip("\0").split("\0") if words else [],
        "mounts": list(fstab(Path("/etc/fstab"))),
    }


def fstab(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of fstab(5), and whether the device of each is there."""
    tags = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}
    for line in path.read_text().splitlines() if path.exists() else ():
        fields = line.split("#")[0].split()
        if len(fields) < 3:
            continue
        tag, _, value = fields[0].partition("=")
        device = f"/dev/disk/{tags[tag]}/{value.strip(chr(34))}" if tag in tags else fields[0]
        yield {
            "source": fields[0],
            "target": fields[1],
            "kind": fields[2],
            "options": fields[3].split(",") if len(fields) > 3 else [],
            "there": not device.startswith("/") or Path(device).exists(),
        }


def sshd(request: dict[str, Any]) -> dict[str, dict[str, list[str]]]:
    """What sshd's files say for each asked account and address of a client (`sshd -T -C`), in lower case."""
    found = {}
    for account, address in request["sshd"]:
        spec = f"user={account},host={address},addr={address}"
        settings: dict[str, list[str]] = {}
        for line in said("/usr/sbin/sshd", "-T", "-C", spec).splitlines():
            key, _, value = line.partition(" ")
            settings.setdefault(key.lower(), []).append(value)
        found[f"{account} from {address}"] = settings
    return found


def accounts(_: dict[str, Any]) -> list[dict[str, Any]]:
    """Every account: what it may do, whether it has a password, and the keys that lie in its home."""
    shadow = dict(line.split(":")[:2] for line in Path("/etc/shadow").read_text().splitlines() if ":" in line)
    groups = grp.getgrall()
    return [
        {
            "name": one.pw_name,
            "number": one.pw_uid,
            "shell": one.pw_shell,
            "password": kind_of(shadow.get(one.pw_name, "!")),
            "groups": sorted({item.gr_name for item in groups if one.pw_name in item.gr_mem}),
            "keys": list(keys(one.pw_dir)),
        }
        for one in pwd.getpwall()
    ]


def kind_of(password: str) -> str:
    """Whether a password lets in: `empty`, `set` or `locked`; never the password (shadow(5))."""
    return "empty" if not password else "locked" if password.startswith(("!", "*")) else "set"


def keys(home: str) -> Iterator[dict[str, str]]:
    """The public keys with which sshd lets into an account that has this home, by file."""
    for name in ("authorized_keys", "authorized_keys2"):
        path = Path(home, ".ssh", name)
        for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
            if line.strip() and not line.lstrip().startswith("#"):
                yield {"file": str(path), "line": line.strip()}


def sudo(_: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules of sudo with all that they include, as cvtsudoers tells them."""
    answer: dict[str, Any] = json.loads(said("cvtsudoers", "-f", "json", "/etc/sudoers"))
    specs: list[dict[str, Any]] = answer.get("User_Specs", [])
    return specs


def secrets(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Files that hold a private key, a client's key or a token to join, and the server that they name.

    `open` says that every account can read it; what it holds never leaves the host.
    """
    found = []
    for path in matching(request["secrets"]):
        if not path.is_file() or path.is_symlink() or path.stat().st_size > LARGEST:
            continue
        text = path.read_bytes().decode(errors="replace")
        kind = "token" if TOKEN.search(text) else "key" if KEY.search(text) else ""
        if kind:
            server = SERVER.search(text)
            readable = int(state(path)["mode"], 8) & 0o004
            reached = all(int(state(folder)["mode"], 8) & 0o001 for folder in above(path))
            told = {"server": server.group(1) if server else "", "open": bool(readable and reached)}
            found.append({"path": str(path), "kind": kind} | told)
    return found


def sockets(_: dict[str, Any]) -> list[dict[str, Any]]:
    """Every listening TCP and bound UDP socket, its program, unit, and whether a pod's container holds it."""
    found = []
    for line in said("ss", "-Hlntup").splitlines():
        parts = line.split()
        address, _colon, port = parts[4].rpartition(":")
        holder = re.search(r'\(\("([^"]+)",pid=(\d+)', line)
        group = cgroup(holder.group(2)) if holder else ""
        found.append(
            {
                "protocol": parts[0],
                "address": address.strip("[]").partition("%")[0],
                "port": int(port),
                "process": holder.group(1) if holder else "",
                "unit": next((part for part in reversed(group.split("/")) if part.endswith(".service")), ""),
                "pod": "kubepods" in group,
            }
        )
    return found


def network(_: dict[str, Any]) -> dict[str, Any]:
    """Links with kind and addresses, IPv4 routes of all tables but the kernel's own, and rules of routing."""
    details = {link["ifname"]: link for link in json.loads(said("ip", "-d", "-j", "link", "show"))}
    links = [
        {
            "name": link["ifname"],
            "kind": details.get(link["ifname"], {}).get("linkinfo", {}).get("info_kind", ""),
            "mac": link.get("address", ""),
            "up": "UP" in link["flags"],
            "addresses": [f"{item['local']}/{item['prefixlen']}" for item in link["addr_info"]],
        }
        for link in json.loads(said("ip", "-j", "address", "show"))
    ]
    routes = [
        {
            "to": route["dst"],
            "kind": route.get("type", "unicast"),
            "via": route.get("gateway", ""),
            "device": route.get("dev", ""),
            "metric": route.get("metric", 0),
            "table": str(route.get("table", "main")),
        }
        for route in json.loads(said("ip", "-j", "-4", "route", "show", "table", "all"))
        if route.get("table") != "local"
    ]
    rules = [
        {"priority": rule["priority"], "table": str(rule.get("table", ""))}
        for rule in json.loads(said("ip", "-j", "-4", "rule", "show"))
    ]
    return {"links": links, "routes": routes, "rules": rules}


def mounts(_: dict[str, Any]) -> list[dict[str, str]]:
    """What is mounted where (proc(5), mountinfo), in the order in which it was."""
    found = []
    for line in Path("/proc/1/mountinfo").read_text().splitlines():
        before, _dash, after = line.partition(" - ")
        target, kind, source = before.split()[4], *after.split()[:2]
        found.append({"target": target.replace("\\040", " "), "kind": kind, "source": source})
    return found


def time_zone(_: dict[str, Any]) -> dict[str, str]:
    """The zone that /etc/localtime names, "" for none, and the rule at its file's end (tzfile(5))."""
    path = Path("/etc/localtime")
    if not path.exists():
        return {"name": "", "rule": "UTC0"}
    leads = str(path.readlink()) if path.is_symlink() else ""
    rule = path.read_bytes().rstrip(b"\n").rpartition(b"\n")[2]
    return {"name": leads.partition("zoneinfo/")[2], "rule": rule.decode(errors="replace")}


def journal(_: dict[str, Any]) -> dict[str, Any]:
    """Where journald writes: bytes of its files on the disk and in memory, and which it has open."""
    sizes: dict[str, Any] = {}
    for name, folder in (("disk", "/var/log/journal"), ("memory", "/run/log/journal")):
        files = [path for path in Path(folder).glob("*/*.journal*") if path.is_file()]
        sizes[name] = sum(path.stat().st_blocks * 512 for path in files)
    daemons = [path for path in Path("/proc").glob("[0-9]*") if program(path).startswith("systemd-journal")]
    opened = [str(path.readlink()) for daemon in daemons for path in (daemon / "fd").glob("*")]
    return sizes | {"opened": sorted({path for path in opened if path.endswith(".journal")})}


SECTIONS = (
    *(states, entries, units, boot, sshd, accounts, sudo, secrets),
    *(sockets, network, mounts, time_zone, journal),
)


if __name__ == "__main__":
    answer(SECTIONS)
