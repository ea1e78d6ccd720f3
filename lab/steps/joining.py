"""Nodes join the cluster: kubeadm join, after what is left of a former life of the host."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from lab.cluster import etcd, kubeadm
from lab.cluster.api import patiently
from lab.errors import CommandError, DeadlineError, FailedError, PlumblineError, PreflightError
from lab.hosts.converge import HostFacts, look
from lab.render.kubeadm import join as join_document
from lab.render.kubeadm import reset as reset_document
from lab.steps import settled
from lab.steps.context import Context
from lab.steps.control_plane import LEFTOVER
from lab.steps.decide import Origin
from lab.steps.engine import Step


@dataclass(frozen=True)
class Former:
    """What the cluster still has of a host's former life; None where nobody could tell."""

    member: bool | None
    """A member of etcd at its address."""
    node: bool | None
    """A Node object of its name."""


TRIES = 3
"""Joins of one build: some calls of kubeadm are given 10 s and made once (its client's time-out, which no
document changes), and one master's join makes the others' API servers slow."""
LATE = re.compile(
    "Client.Timeout|request canceled|deadline exceeded|timed out|handshake timeout|connection re"
    "|unexpected EOF|currently unable to handle"
)
"""What kubeadm says when the API was away or late, and not when the join itself cannot be."""

NOTHING = Former(member=False, node=False)
UNTOLD = Former(member=None, node=None)


def former_life(context: Context, name: str) -> Former:
    """What the cluster still has of a host that is no part of it; changes nothing."""
    master = name in context.lab.inventory.masters
    try:
        address = str(context.lab.inventory.hosts[name].address)
        asked = _living_master(context) if master else ""
        member = master and bool(etcd.stale(etcd.members(context.lab.ssh, asked), address))
        return Former(member, context.api.get(f"/api/v1/nodes/{name}") is not None)
    except PlumblineError:
        return UNTOLD


def joining(
    context: Context, name: str, former: Former, needs: Iterable[str], after: Iterable[str], *, leftover: bool
) -> Step:
    """A node joins. What the cluster has of its former life is removed first, and nothing else."""
    # what an earlier run began may register itself at any moment
    known = UNTOLD if leftover else former
    will = (*((LEFTOVER,) if leftover else ()), *_removals(context, name, known), Origin.JOIN.value)
    run = partial(join, context, name, known)
    return Step("join", name, "kubeadm join", frozenset(needs), run, frozenset(after), will=will)


def whole(context: Context, masters: Iterable[str]) -> None:
    """Refuse a master that kubeadm made and that etcd no longer has, by name or address.

    Its removal was begun and not ended (`lab/steps/leaving.py` takes the member first), and its files say
    nothing of that. Where no etcd answers nobody can tell. Raises `PreflightError`.
    """
    joined = tuple(masters)
    for asked in joined:
        try:
            listed = etcd.members(context.lab.ssh, asked)
        except PlumblineError:
            continue
        known = {member.name for member in listed}
        for name in joined:
            address = str(context.lab.inventory.hosts[name].address)
            if name not in known and not etcd.stale(listed, address):
                raise PreflightError(
                    f"{name}: etcd has no member of it any more: its removal was begun and not ended",
                    next_step=f"invoke destroy --host {name}, which ends it; then invoke build",
                )
        return


def _removals(context: Context, name: str, former: Former) -> tuple[str, ...]:
    member = {
        True: f"remove the dead etcd member of {name}",
        None: "remove its dead etcd member, if there is one",
    }
    node = {
        True: f"delete the former Node object {name}",
        None: "delete its former Node object, if there is one",
    }
    told = [member.get(former.member)] if name in context.lab.inventory.masters else []
    return tuple(sentence for sentence in (*told, node.get(former.node)) if sentence)


def join(context: Context, name: str, former: Former = UNTOLD) -> tuple[bool, str]:
    """`kubeadm join` of a node, continued where an earlier build left it.

    Before a master joins, the dead etcd member of its address goes; before any node joins, the Node object
    of its former life goes, for kubeadm refuses a name that is Ready. Raises `FailedError` rather than remove
    what `former` says is not there. Secrets live for one try alone. A try that failed because the API was
    late is undone and made again, `TRIES` times in all; then, or for another reason, raises `CommandError`.
    """
    lab = context.lab
    seen = look(lab.ssh, context.bundles[name])
    if seen.joined:
        return False, ""
    settled.same_cluster(context)
    remarks: list[str] = []
    if seen.kubeadm == "running":
        remarks.append("continued")
        kubeadm.finish(lab.ssh, name, context.noting(f"join:{name}"))
        return True, "; ".join(remarks)
    touched = seen.touched
    for left in reversed(range(TRIES)):
        if touched:
            document = reset_document(lab.inventory, lab.provider.traits_of(name))
            kubeadm.reset(lab.ssh, name, document, context.bundles[name].pod_interfaces)
            remarks.append("after undoing a half-finished join")
        master = _living_master(context)
        remarks += _take_out(context, name, master, former)
        try:
            _join_once(context, name, master)
            break
        except CommandError as error:
            if not left or context.engine.stop.is_set() or not LATE.search(error.output):
                raise
            context.noting(f"join:{name}")("the API was late: once more")
            # what is undone and taken out now is this join's own
            touched, former = True, UNTOLD
    return True, "; ".join(remarks)


def _join_once(context: Context, name: str, master: str) -> None:
    lab = context.lab
    secrets = kubeadm.join_secrets(lab.ssh, master, control_plane=name in lab.inventory.masters)
    document = join_document(lab.inventory, lab.provider.traits_of(name), context.pins, name, secrets)
    try:
        kubeadm.start(lab.ssh, name, "join", document)
        kubeadm.finish(lab.ssh, name, context.noting(f"join:{name}"))
    finally:
        # a stopped build leaves the join at work on the host: its secrets expire by themselves
        if not context.engine.stop.is_set():
            kubeadm.forget(lab.ssh, master, secrets)


def _take_out(context: Context, name: str, master: str, former: Former) -> list[str]:
    """Remove what the cluster still has of the host's former life; what was removed."""
    lab, removed = context.lab, []
    if name in lab.inventory.masters:
        address, listed = str(lab.inventory.hosts[name].address), etcd.members(lab.ssh, master)
        there = etcd.stale(listed, address)
        if there and former.member is False:
            raise _appeared(name, "etcd has a member at its address")
        _no_other_learner(name, listed, address)
        if there and etcd.remove_stale(lab.ssh, master, address, name):
            removed.append("dead etcd member removed")
    path = f"/api/v1/nodes/{name}"
    if former.node is False:
        if patiently(f"Node {name}", lambda: context.api.get(path)):
            raise _appeared(name, "the cluster has a Node object of its name")
    elif patiently(f"former Node {name} removed", lambda: context.api.delete(path)):
        removed.append("former Node object removed")
    return removed


def _no_other_learner(name: str, listed: Iterable[etcd.Member], address: str) -> None:
    learners = [
        item.name or item.peer for item in listed if item.learner and f"//{address}:" not in item.peer
    ]
    if learners:
        raise FailedError(
            f"{name}: etcd takes one new member at a time; {learners[0]} has begun to join and has no vote",
            next_step="invoke build again, when that one has joined or is gone",
        )


def _appeared(name: str, what: str) -> FailedError:
    return FailedError(
        f"{name}: {what}, which was not there when this was planned; it is not removed",
        next_step="invoke plan, then invoke build again: they decide by what they find",
    )


def _living_master(context: Context) -> str:
    """A master that is a part of the cluster and whose own API server is ready."""
    lab = context.lab
    for name in lab.inventory.masters:
        facts = _look(context, name)
        if facts is None or not facts.joined:
            continue
        address = f"https://{lab.inventory.hosts[name].address}:{lab.inventory.kubernetes.api_port}"
        if _answers(context, name, f"{kubeadm.KUBECTL} --server {address} get --raw /readyz"):
            return name
    raise FailedError(
        "no master of the cluster is ready, so nothing can join",
        next_step="invoke status",
    )


def _answers(context: Context, name: str, command: str) -> bool:
    try:
        return context.lab.ssh.try_run(name, command, seconds=10).code == 0
    except (FailedError, DeadlineError):
        return False


def _look(context: Context, name: str) -> HostFacts | None:
    try:
        return look(context.lab.ssh, context.bundles[name])
    except (FailedError, DeadlineError):
        return None
