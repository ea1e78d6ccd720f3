"""From facts to decisions about hosts: pure. The steps that carry them out say what they will change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lab.errors import FailedError, PreflightError
from lab.hosts.changes import HostChange
from lab.hosts.converge import compare
from lab.inventory.models import Inventory
from lab.machines import State
from lab.render.bundle import Bundle
from lab.steps.context import LabFacts


class Origin(StrEnum):
    """How a machine becomes a part of the cluster."""

    NONE = "is a part already"
    INIT = "kubeadm init"
    JOIN = "kubeadm join"


@dataclass(frozen=True)
class Decision:
    """What a build does about one host.

    `state` is the machine's, `resize` what differs about the machine itself, `host` what differs on it,
    `cluster` whether and how kubeadm runs, `leftover` that kubeadm began there before and did not end well.
    """

    name: str
    state: State
    host: tuple[HostChange, ...]
    cluster: Origin
    leftover: bool
    resize: tuple[str, ...] = ()


def decide(inventory: Inventory, bundles: dict[str, Bundle], facts: LabFacts) -> dict[str, Decision]:
    """One decision a host. Raises `FailedError` when no decision is safe.

    Raises `PreflightError` for a machine with our name and without our mark.
    """
    foreign = [name for name, state in facts.states.items() if state is State.FOREIGN]
    if foreign:
        raise PreflightError(
            f"{', '.join(foreign)}: exists and does not carry the mark of {inventory.lab}; it is not touched",
            next_step="rename the host in the inventory, or remove that machine yourself",
        )
    founder = founding_master(inventory, facts)
    return {name: _decide(inventory, bundles[name], facts, name, founder) for name in inventory.hosts}


def founding_master(inventory: Inventory, facts: LabFacts) -> str | None:
    """The master that runs `kubeadm init`; None when a cluster exists.

    Decided by evidence: as long as any host is a part of a cluster, or is switched off or silent and might
    be, no cluster is founded. A master on which an init has begun continues it.
    """
    off = {State.OFF, State.PAUSED} & {facts.states.get(name) for name in inventory.nodes}
    if facts.joined(inventory.masters) or off or facts.silent.keys() & {*inventory.nodes}:
        return None
    members = facts.joined(inventory.workers)
    if members:
        raise FailedError(
            f"no master is a part of a cluster, but {', '.join(members)} is: the control plane is lost",
            next_step="restore a master, or start again: invoke destroy",
        )
    begun = [name for name in inventory.masters if name in facts.hosts and facts.hosts[name].touched]
    return begun[0] if begun else inventory.masters[0]


def _decide(
    inventory: Inventory, wanted: Bundle, facts: LabFacts, name: str, founder: str | None
) -> Decision:
    state = facts.states[name]
    seen = facts.hosts.get(name)
    needs_cluster = name in inventory.nodes
    if state is State.ABSENT:
        joined = False
    elif seen is None:
        joined = True  # off or silent: looked at again once it answers
    else:
        joined = seen.joined
    origin = Origin.NONE
    if needs_cluster and not joined:
        origin = Origin.INIT if name == founder else Origin.JOIN
    return Decision(
        name=name,
        state=state,
        host=compare(wanted, seen) if seen else (),
        cluster=origin,
        leftover=seen is not None and needs_cluster and seen.touched,
        resize=facts.changes.get(name, ()),
    )
