"""Files that a program takes because they lie in its folder: what nobody declared is named (P1-12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.checks.patterns import among, matches, spread
from lab.checks.verbs import nothing
from lab.hosts.survey import FolderFile, HostSurvey
from lab.machines import Traits
from lab.render.bundle import Bundle
from lab.render.role import RoleFolder


def asked(bundle: Bundle) -> list[str]:
    """The patterns of the files that are to be asked of a host."""
    return sorted({one for item in bundle.folders for one in spread(item.path)})


def hold_what_is_declared(bundle: Bundle, traits: Traits, survey: HostSurvey) -> None:
    """No program takes a file that nobody declared. Raises `Mismatch` with all that are there."""
    strange = dict(_strange(bundle, traits, survey.entries))
    command = f"ls -l {next(iter(strange), '')}; take it away, or declare it in roles/"
    nothing("files that nobody declared", strange, rule="none", command=command, host=survey.host)


def _strange(bundle: Bundle, traits: Traits, entries: Sequence[FolderFile]) -> Iterator[tuple[str, str]]:
    ours = {file.path for file in bundle.files}
    for entry in entries:
        folders = [item for item in bundle.folders if matches(entry.path, item.path)]
        declared = entry.path in ours or among(entry.path, bundle.by_pods)
        if not folders or declared or any(among(entry.path, item.allowed) for item in folders):
            continue
        reader = folders[0]
        # what a package brought and nobody changed is what its maker wants of this distribution
        as_it_came = bool(entry.package) and not entry.changed
        if (as_it_came and reader.packages) or _is_its_owners(reader, traits):
            continue
        yield entry.path, _told(reader, entry)


def _is_its_owners(folder: RoleFolder, traits: Traits) -> bool:
    """Whether a file is the business of the machine's owner: the root is not of our making, and others than
    the platform read the folder."""
    return folder.shared and not traits.layered


def _told(folder: RoleFolder, entry: FolderFile) -> str:
    leads = f" (leads to {entry.leads})" if entry.leads else ""
    changed = f", and is not as the package {entry.package} brought it" if entry.changed else ""
    return f"is read by {folder.read_by}{changed}{leads}"
