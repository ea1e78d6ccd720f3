"""Source `mirror`: what the store holds, and nothing else; for a machine without a way to fetch anything."""

from __future__ import annotations

from collections.abc import Iterable

from lab.artifacts.sources import Source
from lab.artifacts.sources.modules import ModulesSource
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Entry, Key, Say, Store
from lab.catalogue.catalogue import Selection
from lab.catalogue.model import ComponentVersion
from lab.errors import FailedError


def missing(names: Iterable[str], arch: str) -> FailedError:
    """The error for what would have to be made or fetched."""
    return FailedError(
        f"{', '.join(names)} ({arch}): not in the store, and source mirror neither builds nor fetches",
        next_step="on a machine with a network: invoke artifacts.bundle --to FILE; here: "
        "invoke artifacts.bundle --from FILE",
    )


class MirrorSource:
    """The artefacts that a bundle brought, whatever source they were made by, of which the store has most."""

    name = "mirror"

    def __init__(self, store: Store, selection: Selection, arch: str, say: Say) -> None:
        self._store, self._arch = store, arch
        makers: list[Source] = [kind(store, selection, arch, say) for kind in (UpstreamSource, ModulesSource)]

        def held(maker: Source) -> int:
            return sum(self._found(maker, item) is not None for item in maker.components())

        # one that is complete before one that merely has more components
        self._maker = max(makers, key=lambda one: (held(one) == len(one.components()), held(one)))

    def components(self) -> list[ComponentVersion]:
        return self._maker.components()

    def origin(self, item: ComponentVersion) -> str:
        return self._maker.origin(item)

    def fetched(self, _item: ComponentVersion) -> bool:
        return False

    def key(self, item: ComponentVersion) -> Key | None:
        return self._maker.key(item)

    def behind(self, item: ComponentVersion) -> list[Key]:
        return self._maker.behind(item)

    def make(self, item: ComponentVersion) -> Entry:
        """The entry of a component. Raises `FailedError` with all that are missing when it is one of them."""
        found = self._found(self._maker, item)
        if not found:
            lacking = [self._told(one) for one in self.components() if not self._found(self._maker, one)]
            raise missing(lacking, self._arch)
        return found

    def _told(self, item: ComponentVersion) -> str:
        """A component that the store does not have, with what is wrong if it has it in a way."""
        key = self._maker.key(item)
        entry = self._store.read(key) if key else None
        return f"{item.name} [{self._store.damage(entry)}]" if entry else item.name

    def _found(self, maker: Source, item: ComponentVersion) -> Entry | None:
        key = maker.key(item)
        return self._store.find(key) if key else None
