"""Hosts: what differs from their bundle is written, and its on-change action runs."""

from __future__ import annotations

from lab.hosts.converge import apply, compare, look
from lab.steps.context import Build


def converge(build: Build, name: str) -> tuple[bool, str]:
    """Bring a running host to its bundle; whether something was changed, and what."""
    changes = compare(build.bundles[name], look(build.lab.ssh, build.bundles[name]))
    if not changes:
        return False, ""
    build.run.keep(
        f"changes/{name}.txt", "\n".join(f"{change.sentence}\n{change.diff}" for change in changes)
    )
    for change in changes:
        build.console.note(f"converge:{name}", change.sentence)
    apply(build.lab.ssh, name, changes)
    return True, "; ".join(change.sentence for change in changes)
