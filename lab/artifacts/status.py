"""What the store holds of each component, for `invoke artifacts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from lab.artifacts.choice import (
    complete,
    found,
    known_arch,
    placed_programs,
    root_key_of,
    source_of,
)
from lab.artifacts.payload import payload_key
from lab.artifacts.rootfs import debian_key, load_recipe
from lab.artifacts.sources import SOURCES, named_source
from lab.artifacts.store import Key, Say, Store, silent
from lab.artifacts.toolchain import host_arch
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import AnyVersion, SingleFile

MADE_HERE = ("payload", "containerd-root")
"""What every source makes of all the others."""


@dataclass(frozen=True)
class StatusRow:
    """One line of `invoke artifacts`.

    `state`: present, missing, or broken with what is wrong; `digest`: sha256, "" if missing; `size` in
    bytes; `note`: why a source does not have it, "" if it does.
    """

    component: str
    version: str
    source: str
    digest: str
    state: str
    size: int
    note: str = ""


def status(
    wanted: Iterable[tuple[str, str]],
    *,
    source: str = "auto",
    arch: str = "amd64",
    packages: Iterable[str] = (),
    full: bool = False,
    say: Say = silent,
) -> list[StatusRow]:
    """What the store holds of what is wanted; `full` digests every byte. Makes and fetches nothing."""
    known_arch(arch)
    store, selection = Store(reads=True, say=say), load_catalogue().select(wanted)
    named = named_source(source)
    candidates = [source_of(one, store, selection, arch, silent) for one in ([named] if named else SOURCES)]
    # as `choose` does, which asks the network where this cannot
    here = {one.name: found(store, one) for one in candidates}
    whole = next((one for one in candidates if complete(selection, one, here[one.name])), None)
    origin = whole or max(candidates, key=lambda one: len(here[one.name]))
    suite = load_recipe().suite
    rows = []
    for item in origin.components():
        row = _row(store, item.name, item.version or suite, origin.origin(item), origin.key(item), full)
        rows.append(replace(row, note=_note(selection.components.get(item), origin.name)))
    if arch != host_arch():
        return rows  # the rest is for machines that are made here
    rows.append(_row(store, "debian", suite, "debian", debian_key(packages, arch), full))
    made, payload, root = here[origin.name], None, None
    if whole:  # else nobody knows their keys
        payload = payload_key(placed_programs(selection, made), arch)
        root = root_key_of(selection, made, arch)
    made_here = zip(MADE_HERE, (payload, root), strict=True)
    return rows + [_row(store, name, "", origin.name, key, full) for name, key in made_here]


def lacking(rows: Iterable[StatusRow]) -> Sequence[StatusRow]:
    """Those that the store does not have, or not as they were stored."""
    return [row for row in rows if row.state != "present"]


def undecided(rows: Iterable[StatusRow], source: str) -> bool:
    """Whether it is still to be asked what these rows will come from: source auto builds everything here if
    upstream does not answer, unless one of the two is complete in the store (single files are the same)."""
    if named_source(source):
        return False
    known = load_catalogue().components
    decisive = [(row, known[row.component].versions[row.version]) for row in rows if row.component in known]
    if any(one.unbuilt for _, one in decisive):
        return False  # upstream is all there is
    return any(row.state != "present" and not isinstance(one, SingleFile) for row, one in decisive)


def _note(component: AnyVersion | None, source: str) -> str:
    if component and component.unbuilt and source == "modules":
        return f"not built here: {component.unbuilt}"
    unpinned = component.unpinned if component else ""
    return f"not pinned: upstream unavailable ({unpinned})" if unpinned else ""


def _row(store: Store, name: str, version: str, source: str, key: Key | None, full: bool) -> StatusRow:
    entry, damage = store.judged(key) if key else (None, "")
    if not entry:
        return StatusRow(name, version, source, "", "missing", 0)
    if full and not damage:
        damage = store.damage(entry, full=True)
    return StatusRow(
        name, version, source, entry.digest, f"broken: {damage}" if damage else "present", entry.size
    )
