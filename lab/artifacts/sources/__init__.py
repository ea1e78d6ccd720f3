"""Where artefacts come from.

`modules` builds them here, `upstream` fetches the official ones, `mirror` takes what the store has.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from lab.artifacts.store import Entry, Key
from lab.catalogue.model import ComponentVersion
from lab.errors import InputError

SOURCES = ("upstream", "modules")
"""Those that `auto` chooses from."""
NAMED = (*SOURCES, "mirror")
Mirrors = Mapping[str, Sequence[str]]
"""Registry -> URLs of its mirrors, in the order in which they are tried."""


class Source(Protocol):
    """One origin of all that a lab wants, for one architecture."""

    name: str

    def components(self) -> list[ComponentVersion]:
        """The components it has to make, in this order."""

    def origin(self, item: ComponentVersion) -> str:
        """The source that a component really comes from."""

    def fetched(self, item: ComponentVersion) -> bool:
        """Whether a component only has to be received: several of those are at work at a time."""

    def key(self, item: ComponentVersion) -> Key | None:
        """The key of a component; None while a part of it is missing, and for what is not built here."""

    def behind(self, item: ComponentVersion) -> list[Key]:
        """The keys of a component and of all that its own key is made of, as far as they are known."""

    def make(self, item: ComponentVersion) -> Entry:
        """The entry of a component, made if the store has none."""


def named_source(source: str) -> str:
    """The source that the caller or the environment names, "" for auto."""
    wanted = (os.environ.get("PLUMBLINE_SOURCE") or "auto") if source == "auto" else source
    if wanted not in (*NAMED, "auto"):
        given = f"PLUMBLINE_SOURCE={wanted}" if source == "auto" else f"--source {wanted}"
        raise InputError(
            f"{given}: is not one of auto, {', '.join(NAMED)}",
            next_step="name one of them, or leave it out: auto chooses",
        )
    return "" if wanted == "auto" else wanted
