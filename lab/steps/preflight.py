"""Preflight: everything that speaks against a build, at once, before anything changes."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

from lab.artifacts.room import room_mib
from lab.artifacts.sources import named_source
from lab.artifacts.sources.mirror import MirrorSource
from lab.artifacts.sources.modules import ModulesSource
from lab.artifacts.status import MADE_HERE, StatusRow, lacking, status, undecided
from lab.artifacts.store import Say, cache_folder, silent
from lab.artifacts.toolchain import host_arch
from lab.artifacts.wanted import wanted as wanted_artefacts
from lab.errors import FailedError, PreflightError
from lab.inventory.addon_sections import of_lab
from lab.inventory.models import Inventory
from lab.inventory.outside import FIX
from lab.labs import Lab
from lab.local import unwritable
from lab.machines import Blocker, State
from lab.providers.opening import stocked
from lab.render.roles import all_packages
from lab.steps.machines import outline
from lab.steps.taken import taken


def states(lab: Lab) -> dict[str, State]:
    """The state of each machine of the inventory."""
    return {name: lab.provider.state(name) for name in lab.inventory.hosts}


def examine(lab: Lab, say: Say = silent) -> tuple[int, list[Blocker]]:
    """How many machines are still to be made or started, and everything that speaks against it or warns.

    A machine that runs has passed already, unless we did not make it: only the others count for memory and
    disk. Where no machine can be looked at, the provider says why, if it knows; else that error is raised.
    `say` is told of a look that takes long.
    """
    try:
        found = states(lab)
    except (FailedError, PreflightError):
        made = [name for name in lab.inventory.hosts if lab.inventory.makes(name)]
        problems = lab.provider.preflight([outline(lab.inventory, name) for name in made])
        if not any(problem.stops for problem in problems):
            raise
        return len(made), [*folders(lab.keys.folder, cache_folder()), *problems]
    wanted = [name for name, state in found.items() if state is not State.RUNNING]
    existing = [name for name in found if name not in wanted and not lab.inventory.makes(name)]
    asked = [outline(lab.inventory, name) for name in (*wanted, *existing)]
    problems = [*folders(lab.keys.folder, cache_folder()), *secrets(lab)]
    if not any(problem.stops and problem.subject == str(cache_folder()) for problem in problems):
        problems += artefacts(*possible(lab.inventory, say), cache=cache_folder())
    problems += taken(lab, found)
    return len(wanted), [*problems, *lab.provider.preflight(asked)] if asked else problems


def folders(data: Path, cache: Path) -> list[Blocker]:
    """What speaks against the user's folders: those of the lab's keys and of the artefacts.

    A cache that is there and read-only may have all that is wanted: that is a warning.
    """
    kept = (data, "for the lab's keys", "PLUMBLINE_DATA"), (cache, "for artefacts", "PLUMBLINE_CACHE")
    return [
        Blocker(
            str(folder),
            seen,
            f"a folder to write in, {what}",
            f"{variable}=/another/folder, or mend this one",
            stops=folder == data or not _holds_entries(cache),
        )
        for folder, what, variable in kept
        if (seen := unwritable(folder))
    ]


def secrets(lab: Lab) -> list[Blocker]:
    """What speaks against the files that hold secrets of add-ons."""
    wanted = [item for _, section in of_lab(lab.inventory) for item in section.outside(lab.inventory)]
    return [
        Blocker(place, f"{file}: {why}", "a text that you alone may read (mode 600)", FIX.format(file=file))
        for item in wanted
        for place, file, why in item.problems(lab.root)
    ]


def _holds_entries(cache: Path) -> bool:
    """Whether artefacts can be read there; a name that the system refuses outright is no folder."""
    try:
        return (cache / "entries").is_dir()
    except OSError:
        return False


def possible(inventory: Inventory, say: Say = silent) -> list[list[StatusRow]]:
    """What the store has of all that a lab wants; where source auto is still to ask whether upstream answers,
    beside it what it builds if not."""
    rows = rows_of(inventory, say=say)
    return [rows, rows_of(inventory, ModulesSource.name, say)] if undecided(rows, "auto") else [rows]


def rows_of(inventory: Inventory, source: str = "auto", say: Say = silent) -> list[StatusRow]:
    """What the store has of all that a lab wants: for this machine, and for each architecture of its own."""
    return [row for rows in rows_by_arch(inventory, source, say).values() for row in rows]


def rows_by_arch(inventory: Inventory, source: str, say: Say = silent) -> dict[str, list[StatusRow]]:
    """The same by the architecture for which it is wanted, this machine's first."""
    items, packages = wanted_artefacts(inventory), all_packages()
    arches = dict.fromkeys([host_arch(), *(arch.value for arch in stocked(inventory))])
    return {arch: status(items, source=source, arch=arch, packages=packages, say=say) for arch in arches}


def artefacts(
    rows: Collection[StatusRow], built: Collection[StatusRow] = (), *, cache: Path
) -> list[Blocker]:
    """What speaks against making or fetching the artefacts that are missing in the store; asks no network.

    `built` are the rows of source auto if upstream does not answer: room that only they need is a warning.
    """
    missing = lacking(rows)
    if named_source("auto") == MirrorSource.name:
        gone = [row for row in missing if row.component not in MADE_HERE]
        names = ", ".join(dict.fromkeys(row.component for row in gone))
        seen = f"{len(gone)} of them are not in {cache}, or damaged: {names}"
        fix = "invoke artifacts.bundle --from FILE"
        made = [Blocker("artefacts", seen, "all: source mirror neither builds nor fetches", fix)]
        if gone:
            return made
    need, folder = room_mib(rows), next(one for one in (cache, *cache.parents) if one.is_dir())
    most = room_mib(built)
    free = shutil.disk_usage(folder).free >> 20
    if free >= max(need, most):
        return []
    count = f"{len(missing)} artefact{'s' * (len(missing) > 1)}"
    wanted = f"about {need} MiB for {count} that the store does not have"
    if most > need:
        wanted += f", and {most} MiB if upstream does not answer and all is built here"
    fix = "free some disk space, or PLUMBLINE_CACHE=/another/folder"
    return [Blocker(f"free disk at {folder}", f"{free} MiB", wanted, fix, stops=free < need)]


def preflight(lab: Lab, say: Say = silent) -> tuple[int, list[Blocker]]:
    """How many machines are still to be made or started, and warnings.

    Raises `PreflightError` with all reasons.
    """
    count, problems = examine(lab, say)
    reasons = [problem for problem in problems if problem.stops]
    if reasons:
        raise PreflightError(
            "this machine cannot take the lab:\n  " + "\n  ".join(map(str, reasons)),
            next_step="mend the above, then run the same command again",
        )
    return count, problems
