"""What stands in a lab's way on this machine and is not its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.machines import Blocker
from lab.providers.lxc.mark import own_machine, read_lab_mark, stranger
from lab.providers.lxc.network import LabNetwork


def strangers(lab: str, home: Path, network: LabNetwork, names: Iterable[str]) -> list[Blocker]:
    """All that belongs to somebody else: the lab's folder, its namespace, folders of the machines `names`.

    What a crashed run of this lab left carries our mark and is no problem: the next call completes it.
    """
    problems = []
    reason = stranger(home, lab)
    if reason:
        fix = "use another name for the lab, or `invoke destroy` where it was made"
        problems.append(Blocker(f"lab {lab}", reason, "a lab of this checkout, or none", fix))
    elif network.exists():
        owner = network.owner()
        # Killed between namespace and switch: no mark inside yet, but the folder's was written before.
        if owner != str(home) and (owner or read_lab_mark(home) is None):
            problems.append(
                Blocker(
                    f"network namespace {network.name}",
                    f"exists and belongs to {owner or 'no lab'}",
                    f"the one of {home}, or none",
                    f"if nothing needs it: ip netns delete {network.name}",
                )
            )
    for name in names:
        folder = home / "machines" / name
        if folder.exists() and own_machine(folder, lab) is None:
            problems.append(
                Blocker(
                    f"machine {name}",
                    f"{folder} was not made by Plumbline for the lab {lab!r}",
                    "no such folder, or one with this lab's mark",
                    "look at it, then move it away or remove it",
                )
            )
    return problems


def unusable_paths(paths: Iterable[Path]) -> list[Blocker]:
    """Folders whose names LXC's configuration and overlay's mount options cannot spell."""
    return [
        Blocker(
            f"folder {path}",
            "has a blank, colon, comma or backslash in its path",
            "a path an overlay mount can name",
            "use another folder",
        )
        for path in paths
        if any(mark in str(path) for mark in " \t\n:,\\")
    ]
