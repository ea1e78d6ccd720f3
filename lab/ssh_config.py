"""OpenSSH's client configuration of a lab, as files that no command changes under another one."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from filelock import FileLock

from lab.waits import patient

CONFIG, KNOWN_HOSTS = "ssh_config", "known_hosts"
UNUSED_SECONDS = 7 * 24 * 3600
"""No command lasts so long: a folder that none has asked for since is read by nobody."""


def kept(folder: Path, config: Callable[[Path], str], known_hosts: str, *, everybody: bool) -> Path:
    """Keep `ssh_config` and `known_hosts` below `folder`, in a folder that is named by what they say; the
    path of the former. `config` is its text for the path of the latter.

    So two commands whose inventories differ never change what the other one reads. The same two files in
    `folder` itself are for people: who comes first writes them, and later on only who does it for
    `everybody`, because it holds the lab. Folders of other inventories go once they are unused.
    """
    said = hashlib.sha256(f"{config(Path(KNOWN_HOSTS))}\n{known_hosts}".encode()).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        for place in (folder / said, folder):
            if not (place / CONFIG).exists() or (place == folder and everybody):
                place.mkdir(exist_ok=True)
                _put(place / KNOWN_HOSTS, known_hosts)
                _put(place / CONFIG, config(place / KNOWN_HOSTS))
        os.utime(folder / said)
        _prune(folder)
    return folder / said / CONFIG


def _prune(folder: Path) -> None:
    """Remove what no command asked for within `UNUSED_SECONDS`; the caller holds the folder's lock."""
    last = time.time() - UNUSED_SECONDS
    for one in folder.iterdir():
        if one.is_dir() and one.stat().st_mtime < last:
            shutil.rmtree(one, ignore_errors=True)


def client_config(
    user: str, identity: Path, hosts: Mapping[str, IPv4Address], sockets: Path, known_hosts: Path
) -> str:
    """The client's configuration as text."""
    lines = []
    for name, address in hosts.items():
        lines += [f"Host {name}", f"    HostName {address}"]
    lines += [
        "Host *",
        f"    User {user}",
        f"    IdentityFile {_quoted(identity)}",
        "    IdentitiesOnly yes",
        f"    UserKnownHostsFile {_quoted(known_hosts)}",
        "    GlobalKnownHostsFile /dev/null",
        "    StrictHostKeyChecking yes",
        "    HostKeyAlgorithms ssh-ed25519",
        "    PreferredAuthentications publickey",
        f"    ConnectTimeout {patient(3):.0f}",
        f"    ServerAliveInterval {patient(5):.0f}",
        "    ServerAliveCountMax 3",
        "    ControlMaster auto",
        f"    ControlPath {sockets}/%C",
        "    ControlPersist 60",
        "    LogLevel ERROR",
    ]
    return "\n".join(lines) + "\n"


def _put(path: Path, text: str) -> None:
    """A file is there whole, or as it was."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text)
    part.replace(path)


def _quoted(path: Path) -> str:
    """A path as ssh_config(5) takes it: spaces need quotes, and % begins a token."""
    return '"{}"'.format(str(path).replace("%", "%%"))
