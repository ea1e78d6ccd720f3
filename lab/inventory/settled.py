"""What is settled when a cluster is born: a build brings no other value of it to a living cluster."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

KEY = "settled"
"""The mark's key in the schema of a field."""


class Way(StrEnum):
    """How a living cluster comes to another value of a field."""

    REBUILD = "rebuild"
    RECONFIGURE = "reconfigure"
    UPGRADE = "upgrade"

    @property
    def sentence(self) -> str:
        """What the reference page says of such a field."""
        return _SENTENCES[self]


_SENTENCES = {
    Way.REBUILD: "Settled at birth: another value needs a new cluster.",
    Way.RECONFIGURE: "Settled at birth; `invoke reconfigure` changes it.",
    Way.UPGRADE: "Settled at birth: no operation upgrades a living cluster yet.",
}


def settled(way: Way) -> dict[str, Any]:
    """The mark of a field: `json_schema_extra` of it."""
    return {KEY: way.value}
