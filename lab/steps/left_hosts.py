"""Machines and Node objects that the file no longer names: told with the way, never removed or cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.cluster import nodes
from lab.errors import PlumblineError, PreflightError
from lab.objects import Object, is_ready
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
            then = ", and nothing is built while it works" if is_ready(item) else ""
            way = f"invoke destroy --host {name} removes it"
            told = f"has a Node object and is no node of the file{then}: {way}"
            found.append(_step("left-node", name, "no longer in the file", (told,)))
        elif nodes.cordoned(item):
            way = f"is cordoned, so no pod is placed there: invoke kubectl -- uncordon {name} ends that"
            found.append(_step("cordoned", name, "cordoned", (way,)))
    return found


def guard(context: Context, items: Iterable[Object]) -> None:
    """Raise `PreflightError` while a node works that is not in the file.

    The firewalls of the others let in whom the file names: a build would cut it off, with all pods there.
    """
    inventory = context.lab.inventory
    names = [item["metadata"]["name"] for item in items if is_ready(item)]
    left = [name for name in names if name not in inventory.nodes]
    if left:
        ways = ", ".join(f"invoke destroy --host {name}" for name in left)
        raise PreflightError(
            f"{inventory.lab}: {', '.join(left)}: works as a node of the cluster and is no node of the file; "
            "nothing is built: the firewalls of the others would be closed to it and to the pods there",
            next_step=f"{ways}; or write it back into the file",
        )


def _step(
    phase: str, name: str, title: str, asks: tuple[str, ...] = (), unknown: PlumblineError | None = None
) -> Step:
    return Step(phase, name, title, frozenset(), lambda: (False, ""), asks=asks, unknown=unknown)
