"""Files, packages and processes of a host, for the program that is sent there (`remote_survey.py`).

Standard library only, Python 3.10 or later; its text is sent before that of the program. Changes nothing.
"""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path("/")
DPKG = Path("/var/lib/dpkg")
LARGEST = 65536
"""Bytes of a file of configuration; what is larger is none."""
MERGED = ("/lib/", "/bin/", "/sbin/")
"""Folders that are links into /usr: dpkg knows a file by either name."""


def said(*command: str) -> str:
    """Standard output of a program; any failure of it is an error of the section."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    if done.returncode:
        raise OSError(f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[:300]}")
    return done.stdout


def matching(patterns: Iterable[str]) -> list[Path]:
    """Every path that is there and matches one of the patterns, links that lead nowhere too."""
    found = {path for pattern in patterns if pattern != "/" for path in ROOT.glob(pattern[1:])}
    found |= {Path(pattern) for pattern in patterns if os.path.lexists(pattern)}
    return sorted(found)


def name_of(number: int, *, group: bool = False) -> str:
    """Name of a user or group, or its number when it has none."""
    try:
        return grp.getgrgid(number).gr_name if group else pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def state(path: Path) -> dict[str, str]:
    """Kind, mode and owner of what lies at a path; a link is what it leads to, if that is there."""
    found = path.stat() if path.exists() else path.lstat()
    kinds = {stat.S_IFDIR: "folder", stat.S_IFREG: "file", stat.S_IFSOCK: "socket", stat.S_IFLNK: "link"}
    return {
        "kind": kinds.get(stat.S_IFMT(found.st_mode), "special"),
        "mode": f"0{stat.S_IMODE(found.st_mode):o}",
        "owner": f"{name_of(found.st_uid)}:{name_of(found.st_gid, group=True)}",
    }


def usual(path: str) -> str:
    """A path as the file system has it: folders that are links into /usr are read through."""
    return f"/usr{path}" if path.startswith(MERGED) else path


def shipped(paths: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Package, and MD5 digest as it came ("" where dpkg keeps none), of those paths that are a package's."""
    wanted = {usual(path): path for path in paths}
    found: dict[str, tuple[str, str]] = {}
    for listing in (DPKG / "info").glob("*.list"):
        name = listing.stem.partition(":")[0]
        for line in listing.read_text(errors="replace").splitlines():
            if usual(line) in wanted:
                found[wanted[usual(line)]] = (name, "")
    if not found:
        return found
    digests = {}
    for line in (DPKG / "status").read_text(errors="replace").splitlines():
        words = line.split()
        if line.startswith(" /") and len(words) >= 2:  # the list of conffiles
            digests[usual(words[0])] = words[1]
    return {path: (name, digests.get(usual(path), "")) for path, (name, _) in found.items()}


def entry(path: Path, package: str, digest: str) -> dict[str, Any]:
    """One file; `leads` is where a link goes, `changed` tells that a package's is no longer as it came."""
    content = path.read_bytes() if path.is_file() else b""
    return {
        "path": str(path),
        "leads": str(path.readlink()) if path.is_symlink() else "",
        "package": package,
        "changed": bool(digest) and hashlib.md5(content).hexdigest() != digest,
        "text": content.decode(errors="replace") if len(content) <= LARGEST else "",
    }


def program(process: Path) -> str:
    """Name of the program of a process; "" for one that has just ended."""
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return ""


def above(path: Path) -> list[Path]:
    """The folders that lead to a file, without the root."""
    return list(path.parents)[:-1]


def cgroup(process: str) -> str:
    """The control group of a process; "" for one that has just ended."""
    try:
        lines = Path("/proc", process, "cgroup").read_text().splitlines()
    except OSError:
        return ""
    return max((line.rpartition(":")[2] for line in lines), key=len, default="")
