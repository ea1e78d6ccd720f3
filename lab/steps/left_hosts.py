"""Machines and Node objects that the file no longer names: told with the way, never removed."""

from __future__ import annotations

from collections.abc import Mapping

from lab.cluster import nodes
from lab.errors import PlumblineError
from lab.objects import Object
from lab.steps.context import Context
from lab.steps.engine import Step


def machines(context: Context) -> list[Step]:
    """A step without work for each machine with the lab's mark that is no host of the file."""
    inventory = context.lab.inventory
    if not any(map(inventory.makes, inventory.hosts)):
        return []  # machines that exist are known by the file alone
    try:
        found = context.lab.provider.machines()
    except PlumblineError as error:
        return [_step("machines", "", "machines of the lab", unknown=error)]
    left = {name: state for name, state in found.items() if name not in inventory.hosts}
    way = "is a machine of this lab ({}) and not in the file: invoke destroy --host {} removes it"
    return [
        _step("left-machine", name, "no longer in the file", (way.format(state, name),))
        for name, state in left.items()
    ]


def node_objects(context: Context, items: Mapping[str, Object] | None) -> list[Step]:
    """The same for Node objects, and for nodes on which somebody lets no pod be placed."""
    found = []
    for name, item in (items or {}).items():
        if name not in context.lab.inventory.nodes:
            way = f"has a Node object and is no node of the file: invoke destroy --host {name} removes it"
            found.append(_step("left-node", name, "no longer in the file", (way,)))
        elif nodes.cordoned(item):
            way = f"is cordoned, so no pod is placed there: invoke kubectl -- uncordon {name} ends that"
            found.append(_step("cordoned", name, "cordoned", (way,)))
    return found


def _step(
    phase: str, name: str, title: str, asks: tuple[str, ...] = (), unknown: PlumblineError | None = None
) -> Step:
    return Step(phase, name, title, frozenset(), lambda: (False, ""), asks=asks, unknown=unknown)
