"""Who may read and write what others than we wrote, and who may replace what we wrote (P1-11)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from lab.addons.model import Rights
from lab.checks.patterns import matches, spread
from lab.checks.verbs import nothing
from lab.hosts.survey import HostSurvey, Place
from lab.render.bundle import Bundle

WRITE = 0o022
"""The bits with which others than the owner may write."""
LOCAL, STAFF = "/usr/local", "root:staff"
"""Debian's policy (9.1.2) lets the group staff write there, where a machine's owner wants that."""
SETGID = 0o2000
"""On a folder it says whose group a new file gets, and gives nobody a right."""


def asked(bundle: Bundle) -> list[str]:
    """The patterns whose states are to be asked of a host."""
    return sorted({one for item in bundle.modes for one in spread(item.path)} | _ways(bundle))


def _ways(bundle: Bundle) -> set[str]:
    """The folders that lead to a file of ours: who may write there may put another in its place."""
    paths = [*(file.path for file in bundle.files), *(item.path for item in bundle.binaries)]
    return {str(folder) for path in paths for folder in PurePosixPath(path).parents}


def are_declared(bundle: Bundle, survey: HostSurvey) -> None:
    """Nothing has rights or an owner beyond what is declared. Raises `Mismatch` with all that have."""
    wrong = dict([*_open_ways(bundle, survey.states), *_beyond(bundle, survey.states)])
    command = f"stat -c '%a %U:%G %n' {next(iter(wrong), '')}"
    nothing("rights beyond what is declared", wrong, rule="none", command=command, host=survey.host)


def _beyond(bundle: Bundle, states: Mapping[str, Place]) -> Iterator[tuple[str, str]]:
    """Paths with more rights than declared; files that we render are compared as a whole elsewhere."""
    ours = {file.path for file in bundle.files} | {item.path for item in bundle.binaries}
    for path, place in states.items():
        declared = next((item for item in bundle.modes if matches(path, item.path)), None)
        told = _trouble(declared, place) if declared and path not in ours else ""
        if told:
            yield path, told


def _trouble(declared: Rights, place: Place) -> str:
    """What a path has beyond its declaration, and what it should have; "" for nothing."""
    passed = SETGID if place.kind == "folder" else 0
    found = []
    # a masked unit leads to /dev/null
    plain = place.kind not in ("link", "special")
    if plain and int(place.mode, 8) & ~int(declared.mode, 8) & ~passed:
        found.append(f"mode {place.mode}, not {declared.mode} at most")
    if place.owner not in declared.owner:
        found.append(f"owner {place.owner}, not {' or '.join(declared.owner)}")
    return "; ".join(found)


def _open_ways(bundle: Bundle, states: Mapping[str, Place]) -> Iterator[tuple[str, str]]:
    """Folders that lead to a file of ours and in which somebody else than root may write."""
    for path in sorted(_ways(bundle) & set(states)):
        place = states[path]
        by_policy = path.startswith(LOCAL) and place.owner == STAFF and not int(place.mode, 8) & 0o002
        owner = place.owner.partition(":")[0]
        if by_policy or (owner == "root" and not int(place.mode, 8) & WRITE):
            continue
        yield path, f"mode {place.mode}, owner {place.owner}; only root may write where files of ours lie"
