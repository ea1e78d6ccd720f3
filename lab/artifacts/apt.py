"""How this machine reaches the Debian archive: its own mirror and proxy, not a name in our code."""

from __future__ import annotations

import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

OS_RELEASE = Path("/etc/os-release")
HELPER = "/usr/lib/apt/apt-helper"
_FORM = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
_SECONDS = 60


def sources(suite: str) -> list[str]:
    """`deb` lines of this machine for a suite, its updates and its security updates.

    On another release of Debian they are this machine's own with the suite in them, if its archive has that.
    Empty when apt knows no such archive (another distribution, a mirror of one release): mmdebstrap then uses
    its own default.
    """
    found = [
        line.split("|") for line in _apt("apt-get", "indextargets", "--format", _FORM, "Created-By: Packages")
    ]
    places = {
        release: uri for uri, release, component, origin in found if (origin, component) == ("Debian", "main")
    }
    # Without the suite itself the others install nothing.
    return _lines(places, suite) if suite in places else _moved(places, suite)


def _lines(places: Mapping[str, str], suite: str) -> list[str]:
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    return [f"deb {places[release]} {release} main" for release in wanted if release in places]


def _moved(places: Mapping[str, str], suite: str) -> list[str]:
    """The lines of this machine's own release for another one, as far as the archives have it."""
    own = _own_release()
    moved = {
        f"{suite}{ending}": places[f"{own}{ending}"]
        for ending in ("", "-updates", "-security")
        if f"{own}{ending}" in places and _serves(places[f"{own}{ending}"], f"{suite}{ending}")
    }
    return _lines(moved, suite) if suite in moved else []


def _own_release() -> str:
    """Code name of this machine's distribution; "" when it has none."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "") if OS_RELEASE.exists() else ""


def _serves(uri: str, release: str) -> bool:
    """Whether an archive has a release, asked in apt's own way: by its proxy, with its certificates."""
    with tempfile.TemporaryDirectory() as folder:
        index = f"{uri.rstrip('/')}/dists/{release}/InRelease"
        _apt(HELPER, "download-file", index, f"{folder}/InRelease")
        return Path(folder, "InRelease").exists()


def proxy_options() -> list[str]:
    """The proxy settings of this machine's apt, as options for another apt."""
    options = []
    for line in _apt("apt-config", "dump", "Acquire::http", "Acquire::https"):
        name, _, value = line.partition(" ")
        if "proxy" in name.lower() and value.strip('";'):
            options.append(f"{name} {value}")
    return options


def _apt(*command: str) -> list[str]:
    if not shutil.which(command[0]):
        return []
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []
