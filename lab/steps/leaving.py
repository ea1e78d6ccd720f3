"""Machines go: one of them, or all, with what they shared and what this machine keeps of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from lab.errors import FailedError
from lab.machines import State
from lab.ssh import close_connections
from lab.steps.context import Build
from lab.steps.engine import Step

FEW = 4
"""Things of one kind that are told by name; of more only the number is."""


def machine(build: Build, name: str) -> Step:
    """One machine goes. Raises `InputError` for a host that the inventory does not have."""
    build.lab.host(name)
    there = build.lab.provider.state(name) in (State.RUNNING, State.OFF, State.PAUSED)

    def run() -> tuple[bool, str]:
        changed = build.lab.provider.destroy(name)
        return changed, "" if changed else "there is no such machine"

    will = (_gone(build, name),) if there else ()
    return Step("remove", name, "machine removed", frozenset(), run, will=will)


def machines(build: Build) -> Step:
    """Every machine of the lab goes, then what they shared."""
    provider = build.lab.provider

    def run() -> tuple[bool, str]:
        changed = provider.clean()
        left = _told(provider.leftovers().items)
        if left:
            raise FailedError(
                f"{build.lab.inventory.lab}: left behind: {'; '.join(left)}",
                next_step="invoke destroy once more",
            )
        return changed, ""

    there = [f"{name}: {_gone(build, name)}" for name in provider.machines()]
    rest = {kind: names for kind, names in provider.leftovers().items.items() if kind != "machine"}
    will = (*there, *(f"remove {told}" for told in _told(rest)))
    return Step("remove", "", "machines and what they shared", frozenset(), run, will=will)


def _gone(build: Build, name: str) -> str:
    inventory = build.lab.inventory
    made = name not in inventory.hosts or inventory.makes(name)
    return "remove the machine with everything on it" if made else "remove all that Kubernetes has there"


def _told(held: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [
        f"{kind}: {', '.join(names) if len(names) <= FEW else len(names)}"
        for kind, names in held.items()
        if names
    ]


def traces(build: Build, removal: Step) -> Step:
    """What this machine keeps to reach the lab goes: host keys, SSH's configuration, the kubeconfig.

    It is told where machines go too; without them it is nothing but what a look at the lab leaves.
    """
    lab = build.lab
    folders = [lab.folder / "ssh", lab.keys.folder / "hosts"]

    def run() -> tuple[bool, str]:
        close_connections(lab.keys.folder)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        lab.kubeconfig.unlink(missing_ok=True)
        return bool(will), ""

    kept = [path for path in (*folders, lab.kubeconfig) if path.exists()]
    will = tuple(f"remove {path}" for path in kept) if removal.will else ()
    return Step("forget", "", "keys and kubeconfig", frozenset({removal.key}), run, will=will)
