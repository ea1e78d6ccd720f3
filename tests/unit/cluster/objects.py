"""Objects that lie in a cluster."""

from __future__ import annotations

from typing import Any

from lab.addons.mark import LABEL
from lab.objects import Object
from tests.fake_api import FakeApi


def put(api: FakeApi, kind: str, name: str, space: str = "", *, version: str = "v1", **more: Any) -> Object:
    """An object that lies in the cluster; `more` are parts of its metadata, `spec` is its own."""
    spec = more.pop("spec", {})
    meta = {"name": name, "uid": f"uid of {name}", **more} | ({"namespace": space} if space else {})
    item = {"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec}
    api.objects[api.path(item)] = item
    return item


def label(name: str) -> dict[str, Any]:
    return {"labels": {LABEL: name}}
