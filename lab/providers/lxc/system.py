"""Which distribution this machine runs, and whether labs are known to work on it."""

from __future__ import annotations

import platform

from lab.machines import Blocker

SUPPORTED = {
    ("debian", "12"): "Debian 12",
    ("debian", "13"): "Debian 13",
    ("ubuntu", "22.04"): "Ubuntu 22.04",
    ("ubuntu", "24.04"): "Ubuntu 24.04",
}
"""README says what is different on each, and which of them a test boots."""


def unknown_system(release: dict[str, str] | None = None) -> list[Blocker]:
    """A warning about a distribution that nobody has tried; `release` is os-release(5), by default ours.

    It does not stop a build: what a lab needs is looked for one by one, and derivatives mostly have it.
    """
    found = _this_system() if release is None else release
    if (found.get("ID", ""), found.get("VERSION_ID", "")) in SUPPORTED:
        return []
    return [
        Blocker(
            "operating system",
            found.get("PRETTY_NAME") or "unknown",
            f"one of {', '.join(SUPPORTED.values())}",
            "go on if all else is well; make setup knows packages of these alone",
            stops=False,
        )
    ]


def _this_system() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:  # it has no such file
        return {}
