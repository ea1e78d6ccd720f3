"""What the survey program prints on a good machine of a little lab, after what its bundle declares."""

from __future__ import annotations

from typing import Any

from lab.checks.survey import Survey
from lab.render.bundle import Bundle


def surveyed(bundle: Bundle, **changes: Any) -> Survey:
    """The answer of a good machine; a keyword replaces a section."""
    answer: dict[str, Any] = {"states": states(bundle)}
    return Survey(bundle.host, answer | changes)


def states(bundle: Bundle) -> dict[str, dict[str, str]]:
    """Each declared path with exactly its rights, and the folders of our files as a package makes them."""
    found = {}
    for item in reversed(bundle.modes):
        path = item.path.replace("**/", "").replace("*", "x")
        found[path] = {"kind": "file", "mode": item.mode, "owner": item.owner[0]}
    for file in bundle.files:
        parts = file.path.split("/")[1:-1]
        for end in range(len(parts) + 1):
            folder = "/" + "/".join(parts[:end])
            found.setdefault(folder, {"kind": "folder", "mode": "0755", "owner": "root:root"})
    return found
