"""Secret objects as the API has them: where they lie, what they hold."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Protocol

from lab.objects import Object


class SecretPlace(Protocol):
    """Whatever names a Secret."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def name(self) -> str:
        """Its name there."""


def path(place: SecretPlace) -> str:
    """The API's path of a Secret."""
    return f"/api/v1/namespaces/{place.namespace}/secrets/{place.name}"


def encoded(texts: Mapping[str, str]) -> dict[str, str]:
    """Texts by key as `data` holds them."""
    return {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}


def held(living: Object | None, key: str) -> str:
    """The text that a Secret holds under a key; "" without it."""
    data = (living or {}).get("data") or {}
    return base64.b64decode(data.get(key, "")).decode(errors="replace")


def secret(place: SecretPlace, texts: Mapping[str, str], **more: str) -> Object:
    """A Secret that holds these texts; `more` are fields beside its data, as its type."""
    meta = {"name": place.name, "namespace": place.namespace}
    return {"apiVersion": "v1", "kind": "Secret", **more, "metadata": meta, "data": encoded(texts)}
