"""How this machine reaches the Debian archive: its own mirror and proxy, not a name in our code."""

from __future__ import annotations

import shutil
import subprocess


def sources(suite: str) -> list[str]:
    """`deb` lines of this machine for a suite, its updates and its security updates.

    Empty when apt knows no such archive (another release, another distribution): mmdebstrap then uses
    its own default.
    """
    form = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(ORIGIN)"
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    lines = {}
    for line in _apt("apt-get", "indextargets", "--format", form, "Created-By: Packages"):
        uri, release, component, origin = line.split("|")
        if origin == "Debian" and release in wanted and component == "main":
            lines[release] = f"deb {uri} {release} {component}"
    # Without the suite itself the others install nothing.
    return [lines[release] for release in wanted if release in lines] if suite in lines else []


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
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.splitlines() if done.returncode == 0 else []
