"""Source `mirror`: what the store holds, and nothing else; for a machine without a way to fetch anything."""

from __future__ import annotations

from collections.abc import Iterable

from lab.artifacts.catalogue import Catalogue
from lab.artifacts.sources import Source
from lab.artifacts.sources.modules import ModulesSource
from lab.artifacts.sources.upstream import UpstreamSource
from lab.artifacts.store import Entry, Key, Say, Store
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

    def __init__(self, store: Store, catalogue: Catalogue, arch: str, say: Say) -> None:
        self._store, self._arch = store, arch
        makers: list[Source] = [kind(store, catalogue, arch, say) for kind in (UpstreamSource, ModulesSource)]

        def held(maker: Source) -> int:
            return sum(self._found(maker, name) is not None for name in maker.components())

        # one that is complete before one that merely has more components
        self._maker = max(makers, key=lambda one: (held(one) == len(one.components()), held(one)))

    def components(self) -> list[str]:
        return self._maker.components()

    def origin(self, name: str) -> str:
        return self._maker.origin(name)

    def fetched(self, _name: str) -> bool:
        return False

    def key(self, name: str) -> Key | None:
        return self._maker.key(name)

    def behind(self, name: str) -> list[Key]:
        return self._maker.behind(name)

    def make(self, name: str) -> Entry:
        """The entry of a component. Raises `FailedError` with all that are missing when it is one of them."""
        found = self._found(self._maker, name)
        if not found:
            lacking = [other for other in self.components() if not self._found(self._maker, other)]
            raise missing(lacking, self._arch)
        return found

    def _found(self, maker: Source, name: str) -> Entry | None:
        key = maker.key(name)
        return self._store.find(key) if key else None
