"""A lab of which something left the inventory: put there, planned, removed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lab.addons.mark import LABEL, NEEDS
from lab.objects import Object
from lab.operations import build as operation
from lab.steps.context import Context
from lab.steps.engine import Step, listed
from tests.world import INVENTORY, World, inventory

WITHOUT_INGRESS = INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "")
RENAMED = INVENTORY.replace("name: default", "name: front")
POOLS = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools"
SPEAKER = "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"


def run(world: World, text: str = "", *words: str) -> Path:
    """Build the lab by this inventory; the folder of the run."""
    made = as_of(world, text)
    try:
        made.engine.execute(operation.steps(made, remove_data=words))
    finally:
        made.run.close()
    return made.run.folder


def as_of(world: World, text: str = "") -> Context:
    world.inventory = inventory(text) if text else world.inventory
    return world.build()


def plan(world: World, text: str = "", *words: str) -> list[Step]:
    made = as_of(world, text)
    made.run.close()
    return listed(operation.steps(made, remove_data=words))


def said(steps: list[Step], key: str) -> tuple[str, ...]:
    return next((step.will for step in steps if step.key == key), ())


def put(world: World, kind: str, name: str, space: str = "", *, version: str = "v1", **more: object) -> str:
    """An object that lies in the cluster, and its path; `more` are parts of its metadata."""
    meta = {"name": name, "uid": f"uid of {name}"} | ({"namespace": space} if space else {})
    item: Object = {"apiVersion": version, "kind": kind, "metadata": meta | more}
    path = world.api.path(item)
    world.api.objects[path] = item
    return path


def of(addon: str, *needs: str) -> dict[str, Any]:
    return {"labels": {LABEL: addon}, "annotations": {NEEDS: ",".join(needs)}}


def title(path: str) -> str:
    return path.rpartition("/")[2]
