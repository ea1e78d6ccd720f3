"""Secrets of the cluster that hold what files of this machine hold; no value is ever told."""

from __future__ import annotations

import base64
from pathlib import Path

from lab.addons.mark import marked
from lab.addons.model import AddOn
from lab.cluster.api import Api
from lab.cluster.apply import ObjectChange, title
from lab.inventory.outside import OutsideSecret
from lab.objects import Object


def outside_change(api: Api, wanted: OutsideSecret, root: Path) -> ObjectChange | None:
    """What `ensure_outside` would do, None when nothing. Changes nothing in the cluster.

    Raises `PreflightError` for a file that cannot be taken.
    """
    values = _encoded(wanted, root)
    living = api.get(_path(wanted))
    data = (living or {}).get("data") or {}
    if living and data == values:
        return None
    after = "".join(f"{key}: what {path} holds\n" for key, (path, _) in wanted.files.items())
    told = {key: "the same" if values.get(key) == value else "something else" for key, value in data.items()}
    before = "".join(f"{key}: {what}\n" for key, what in told.items())
    return ObjectChange(title(_secret(wanted, {})), before if living else "", after)


def ensure_outside(api: Api, addon: AddOn, wanted: OutsideSecret, root: Path) -> bool:
    """Make the secret hold what the files hold; whether anything was changed."""
    if outside_change(api, wanted, root) is None:
        return False
    api.apply(marked(_secret(wanted, _encoded(wanted, root)), addon))
    return True


def _encoded(wanted: OutsideSecret, root: Path) -> dict[str, str]:
    return {key: base64.b64encode(value.encode()).decode() for key, value in wanted.held(root).items()}


def _path(wanted: OutsideSecret) -> str:
    return f"/api/v1/namespaces/{wanted.namespace}/secrets/{wanted.name}"


def _secret(wanted: OutsideSecret, data: dict[str, str]) -> Object:
    meta = {"name": wanted.name, "namespace": wanted.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
