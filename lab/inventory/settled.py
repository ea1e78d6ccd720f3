"""What is settled when a cluster is born: a build brings no other value of it to a living cluster."""

from __future__ import annotations

from enum import StrEnum

from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

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


REBUILD: JsonDict = {KEY: Way.REBUILD.value}
RECONFIGURE: JsonDict = {KEY: Way.RECONFIGURE.value}
UPGRADE: JsonDict = {KEY: Way.UPGRADE.value}
"""The marks of fields: `json_schema_extra` of them."""


def way_of(field: FieldInfo | None) -> Way | None:
    """The mark of a field; None for one that a build brings to a living cluster."""
    extra = field.json_schema_extra if field else None
    shown: JsonDict = {}
    if callable(extra):
        extra(shown)
    elif extra:
        shown = extra
    return Way(str(shown[KEY])) if KEY in shown else None
