"""The single files that a lab wants, brought.

Rendering needs them each time and makes them once, so what makes them is imported when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from lab.artifacts.files import file_key
from lab.artifacts.sources import named_source
from lab.artifacts.store import Say, Store
from lab.catalogue.catalogue import Selection
from lab.catalogue.load import load_catalogue
from lab.catalogue.model import ComponentVersion, SingleFile


def provide_files(
    source: str, wanted: Iterable[tuple[str, str]], names: Iterable[str], *, say: Say
) -> dict[str, Path]:
    """The named files of what a lab wants: from `upstream`, out of their `modules`, or `auto`.

    Raises `InputError` for a source that does not exist, `FailedError` when a file does not have its pinned
    digest.
    """
    named_source(source)  # a word that means nothing is refused, whether or not it is needed this time
    store, selection = Store(say=say), load_catalogue().select(wanted)
    known = {item.name: (item, file) for item, file in selection.files()}
    return {name: _path(store, selection, *known[name], source, say) for name in names}


def _path(
    store: Store, selection: Selection, item: ComponentVersion, file: SingleFile, source: str, say: Say
) -> Path:
    entry = store.find(file_key(item.name, file))
    if not entry:
        from lab.artifacts.choice import choose
        from lab.artifacts.toolchain import host_arch

        # decided here, because it costs time and a file that is at hand needs no source
        entry = choose(source, store, selection, host_arch(), say).make(item)
    return next(iter(store.paths(entry).values()))
