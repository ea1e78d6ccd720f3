"""Remove the lab, or one machine of it; what this lab did not make is not touched.

A master leaves etcd first, and not where its quorum would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import RenderableType

from lab.errors import InputError
from lab.steps import leaving
from lab.steps.context import Context
from lab.steps.engine import Stages
from lab.steps.operation import Operation


def steps(context: Context, *, host: str = "", lose_quorum: bool = False) -> Stages:
    """One machine: out of etcd, gone, out of the cluster. All: machines, what they shared, what we keep."""
    masters = context.lab.inventory.masters
    if lose_quorum and host not in masters:
        raise InputError(
            f"--lose-quorum: means nothing without a master; there are: {', '.join(masters)}",
            next_step=f"invoke destroy --host {masters[0]} --lose-quorum",
        )
    if host:
        yield leaving.one(context, host, lose_quorum=lose_quorum)
        return
    removal = leaving.everything(context)
    yield [removal, leaving.traces(context, removal)]


def told(context: Context, changed: bool, *, host: str = "", **_options: object) -> Iterable[RenderableType]:
    """What is left."""
    if changed and not host:
        yield f"{context.lab.inventory.lab}: removed: no machine, process, mount or network of it is left"


OPERATION = Operation(
    steps, artefacts=False, heals=False, nothing="nothing to remove", stake=leaving.stake, told=told
)
