"""Secrets of the cluster that hold what files of this machine hold; no value is ever told."""

from __future__ import annotations

from pathlib import Path

from lab.addons.mark import marked
from lab.addons.model import AddOn
from lab.cluster import secrets
from lab.cluster.api import Api
from lab.cluster.apply import ObjectChange
from lab.inventory.outside import OutsideSecret
from lab.objects import title


def outside_change(api: Api, wanted: OutsideSecret, root: Path) -> ObjectChange | None:
    """What `ensure_outside` would do, None when nothing. Changes nothing in the cluster.

    Raises `PreflightError` for a file that cannot be taken.
    """
    values = secrets.encoded(wanted.held(root))
    living = api.get(secrets.path(wanted))
    data = (living or {}).get("data") or {}
    if living and data == values:
        return None
    after = "".join(f"{key}: what {path} holds\n" for key, (path, _) in wanted.files.items())
    told = {key: "the same" if values.get(key) == value else "something else" for key, value in data.items()}
    before = "".join(f"{key}: {what}\n" for key, what in told.items())
    return ObjectChange(title(secrets.secret(wanted, {})), before if living else "", after)


def ensure_outside(api: Api, addon: AddOn, wanted: OutsideSecret, root: Path) -> bool:
    """Make the secret hold what the files hold; whether anything was changed."""
    if outside_change(api, wanted, root) is None:
        return False
    api.apply(marked(secrets.secret(wanted, wanted.held(root)), addon))
    return True
