"""Nothing is built into a cluster that was born with other values: refused before anything changes."""

from __future__ import annotations

from collections.abc import Iterable

from lab.cluster import settled
from lab.cluster.api import patiently
from lab.cluster.deviations import told
from lab.cluster.settled import Deviation, Living
from lab.errors import PreflightError
from lab.hosts import settled as hosts_settled
from lab.hosts.settled import KUBEADM_CONFIG, SECONDS, MasterAnswer, look
from lab.inventory.settled import Way
from lab.machines import State
from lab.objects import Object
from lab.own_yaml import loads
from lab.render.kubeadm import init
from lab.steps.context import Context, LabFacts
from lab.steps.gather import PLAN_SECONDS


def configuration(context: Context) -> Object:
    """kubeadm's ClusterConfiguration as the inventory makes it."""
    inventory = context.lab.inventory
    master = inventory.masters[0]
    return settled.configuration_in(
        init(inventory, context.lab.provider.traits_of(master), context.pins, master)
    )


def living(context: Context) -> Living:
    """What the masters that run tell of the cluster; nothing where there is none yet."""
    provider, masters = context.lab.provider, context.lab.inventory.masters
    running = [name for name in masters if provider.state(name) is State.RUNNING]
    if running:
        provider.enter()
    with context.console.working("settled", "masters: what the cluster was born with"):
        return look(context.lab.ssh, running, _seconds(context))


def from_facts(context: Context, facts: LabFacts) -> Living:
    """The same from what masters have said among their facts: nobody is asked twice."""
    running = [name for name in context.lab.inventory.masters if facts.states[name] is State.RUNNING]
    answers: dict[str, MasterAnswer | str] = {}
    for name in running:
        said = facts.hosts[name].control_plane if name in facts.hosts else None
        answers[name] = said or str(facts.silent.get(name, f"{name}: nothing was told of its control plane"))
    return hosts_settled.told(context.lab.ssh, answers, _seconds(context))


def _seconds(context: Context) -> float:
    return PLAN_SECONDS if context.planning else SECONDS


def judge(context: Context, found: Living) -> bool:
    """Whether every master and the API could be asked. Raises `PreflightError` for what differs."""
    refuse(context, settled.compare(context.lab.inventory, configuration(context), found))
    return found.known


def same_cluster(context: Context) -> None:
    """Right before a join: kubeadm's ConfigMap is what every new node takes the cluster's settings from.

    Raises `PreflightError` where it is not the inventory's.
    """
    held = patiently("kubeadm's configuration", lambda: context.api.get(KUBEADM_CONFIG))
    if held is None:  # kubeadm itself says then that nobody can join
        return
    cluster = loads(held["data"]["ClusterConfiguration"])
    inventory = context.lab.inventory
    # names of masters are judged where all certificates are: by the guard of the build
    refuse(context, settled.configuration(inventory, configuration(context), cluster, ()))


def refuse(context: Context, deviations: Iterable[Deviation]) -> None:
    """Raises `PreflightError` with every deviation and the way out, unless there is none."""
    found = tuple(deviations)
    if not found:
        return
    lines = "".join(f"\n  {line}" for line in told(found))
    raise PreflightError(
        f"{context.lab.inventory.lab}: the living cluster has other values than the file says; "
        f"nothing is built into it:{lines}",
        next_step=way_out(context, found),
    )


def way_out(context: Context, deviations: Iterable[Deviation]) -> str:
    """What a person does about them."""
    found = tuple(deviations)
    moved = _moved(context, found)
    fields: dict[Way, list[str]] = {}
    for item in found:
        if item.names and moved.issuperset(item.names):
            continue  # no difference when the address is written back
        listed = fields.setdefault(item.way, [])
        if item.field not in listed:
            listed.append(item.field)
    said = []
    if hard := [*fields.get(Way.REBUILD, ()), *fields.get(Way.UPGRADE, ())]:
        said.append(f"write the cluster's value of {', '.join(hard)} back into the file")
        said.append(_anew(context, hard, once=Way.RECONFIGURE in fields))
    if Way.UPGRADE in fields:
        said.append("no operation upgrades a living cluster yet")
    if changed := fields.get(Way.RECONFIGURE):
        named = f" ({', '.join(changed)})" if hard else ""
        said.append(f"{'then ' if hard else ''}invoke reconfigure{named}")
    return "; ".join(said)


def _moved(context: Context, deviations: Iterable[Deviation]) -> frozenset[str]:
    """The addresses of the file that living hosts do not have."""
    hosts = context.lab.inventory.hosts
    names = [item.field.split(".")[1] for item in deviations if item.field.startswith("hosts.")]
    return frozenset(str(hosts[name].address) for name in names)


def _anew(context: Context, fields: Iterable[str], *, once: bool) -> str:
    """Destroying what holds the value: single machines where only their addresses moved, or all of it.

    `once`: the cluster is reconfigured afterwards in any case, which is told for all.
    """
    inventory = context.lab.inventory
    moved = [field.split(".")[1] if field.startswith("hosts.") else "" for field in fields]
    # the balancer's address is the endpoint, which every node knows
    if set(moved) <= set(inventory.nodes):
        named = ", ".join(f"invoke destroy --host {name}" for name in moved)
        # the certificates of the other masters have the former address of a master
        lacking = not once and set(moved) & set(inventory.masters)
        then = ", then invoke reconfigure" if lacking else ""
        return f"or, before an address changes in the file: {named}; afterwards invoke build{then}"
    return "or start again: invoke destroy, then invoke build"
