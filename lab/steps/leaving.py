"""Machines go: one of them in the order in which nothing stays behind that looks dead, or all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial

from lab.artifacts import mounts
from lab.artifacts.store import cache_folder
from lab.cluster import etcd, quorum
from lab.cluster.api import patiently
from lab.errors import FailedError, PlumblineError, PreflightError
from lab.hosts.converge import ETCD_DATA
from lab.machines import State
from lab.ssh import close_connections
from lab.steps.context import Context
from lab.steps.engine import Step
from lab.steps.preflight import states

THERE = (State.RUNNING, State.OFF, State.PAUSED)
NAMED = 20
"""Machines that are told by name; of more only the number is."""
FEW = 4
"""Other things of one kind that are told by name."""


def one(context: Context, name: str, *, lose_quorum: bool) -> list[Step]:
    """A machine leaves etcd, goes, and leaves the cluster, as far as these live.

    One that is no longer in the inventory goes in the same way, by what the lab and the cluster know of it.
    Raises `InputError` for a name that neither knows, `PreflightError` for a master that etcd cannot do
    without, unless `lose_quorum`.
    """
    found = states(context.lab)
    address = _address(context, found, name)
    found.setdefault(name, context.lab.provider.state(name))
    there = found[name] in THERE
    taken, through = quorum.Removal(()), ""
    if name in context.lab.inventory.masters or (name not in context.lab.inventory.hosts and address):
        taken, through = _look(context, found, name, address)
    if taken.refusal and there and not lose_quorum:
        command = f"invoke destroy --host {name} --lose-quorum"
        raise PreflightError(
            "\n  ".join((f"{name}: {taken.refusal}; nothing was changed", *taken.sentences)),
            next_step="invoke status, then mend etcd (invoke build starts machines that are off); "
            f"to lose it: {command}",
        )
    steps = [_out_of_etcd(context, name, taken, through)] if taken.members else []
    judged = () if taken.members or not there else taken.sentences
    judged += (f"as --lose-quorum says: {taken.refusal}",) if taken.refusal and there else ()
    will = (*judged, _gone(context, name)) if there else ()
    run = partial(_remove, context, name)
    needs = frozenset(step.key for step in steps)
    steps.append(Step("remove", name, "machine removed", needs, run, will=will))
    if not taken.refusal and _has_node(context, found, name):
        steps.append(_out_of_the_cluster(context, name))
    return steps


def _address(context: Context, found: Mapping[str, State], name: str) -> str:
    """A host's address; of one that left the inventory that of its member of etcd, "" where it has none.

    Raises `InputError` for a name that is no host, no machine of this lab, no Node and no member of etcd.
    """
    if name in context.lab.inventory.hosts:
        return str(context.lab.inventory.hosts[name].address)
    for master in _running(context, found):
        try:
            listed = etcd.members(context.lab.ssh, master)
        except PlumblineError:
            continue
        member = next((item for item in listed if item.name == name), None)
        if member:
            return member.address
        break
    if name not in context.lab.provider.machines() and not _has_node(context, found, name):
        context.lab.host(name)
    return ""


def _remove(context: Context, name: str) -> tuple[bool, str]:
    changed = context.lab.provider.destroy(name)
    return changed, "" if changed else "there is no such machine"


def _out_of_etcd(context: Context, name: str, taken: quorum.Removal, through: str) -> Step:
    def run() -> tuple[bool, str]:
        for member in taken.members:
            etcd.remove(context.lab.ssh, through, member)
        return True, ", ".join(member.name or member.id for member in taken.members)

    return Step("leave", name, "etcd member removed", frozenset(), run, will=taken.sentences)


def _out_of_the_cluster(context: Context, name: str) -> Step:
    path = f"/api/v1/nodes/{name}"

    def run() -> tuple[bool, str]:
        return patiently(f"Node {name} removed", lambda: context.api.delete(path)), ""

    will = (f"delete the Node object {name}",)
    return Step("node", name, "Node object removed", frozenset({f"remove:{name}"}), run, will=will)


def _look(
    context: Context, found: Mapping[str, State], name: str, address: str
) -> tuple[quorum.Removal, str]:
    """What a living etcd says to the removal, and the master that it was asked through: another, if any."""
    lab = context.lab
    running = _running(context, found)
    said = "no master runs"
    for master in sorted(running, key=lambda other: other == name):
        try:
            listed, health = etcd.members(lab.ssh, master), etcd.healthy(lab.ssh, master)
        except PlumblineError as error:
            said = error.message.splitlines()[0]
            continue
        return quorum.removal(listed, health, name, address), master
    holders = [other for other in lab.inventory.masters if _may_hold(context, other, found[other])]
    return quorum.unseen(name, holders, said), ""


def _running(context: Context, found: Mapping[str, State]) -> list[str]:
    """Masters that run; the lab's network is entered if there is one."""
    running = [name for name in context.lab.inventory.masters if found[name] is State.RUNNING]
    if running:
        context.lab.provider.enter()
    return running


def _may_hold(context: Context, name: str, state: State) -> bool:
    """Whether a master holds data of etcd, or nobody can tell."""
    if state is not State.RUNNING:
        return state in THERE
    try:
        return context.lab.ssh.try_run(name, f"test -d {ETCD_DATA}", seconds=10).code == 0
    except PlumblineError:
        return True


def _has_node(context: Context, found: Mapping[str, State], name: str) -> bool:
    """Whether the API answers and has a Node of that name; without it a Node stays until the host joins."""
    if name == context.lab.inventory.balancer or not _running(context, found):
        return False
    try:
        return context.api.ready() and context.api.get(f"/api/v1/nodes/{name}") is not None
    except PlumblineError:
        return False


def everything(context: Context) -> Step:
    """Every machine of the lab goes, then what they shared."""
    provider = context.lab.provider

    def run() -> tuple[bool, str]:
        changed = provider.clean()
        left = _kinds(provider.leftovers().items)
        if left:
            raise FailedError(
                f"{context.lab.inventory.lab}: left behind: {'; '.join(left)}",
                next_step="invoke destroy once more",
            )
        return changed, ""

    there = [f"{name}: {_gone(context, name)}" for name in provider.machines()]
    rest = {kind: names for kind, names in provider.leftovers().items.items() if kind != "machine"}
    will = (*there, *(f"remove {told}" for told in _kinds(rest)))
    return Step("remove", "", "machines and what they shared", frozenset(), run, will=will)


def _kinds(held: Mapping[str, tuple[str, ...]]) -> list[str]:
    return [
        f"{kind}: {', '.join(names) if len(names) <= FEW else len(names)}"
        for kind, names in held.items()
        if names
    ]


def traces(context: Context, removal: Step) -> Step:
    """What this machine keeps to reach the lab goes: host keys, SSH's configuration, the kubeconfig.

    It is told where machines go too; without them it is nothing but what a look at the lab leaves. What an
    older version left mounted in the store of artefacts goes in any case.
    """
    lab = context.lab
    folders = [lab.folder / "ssh", lab.keys.folder / "hosts"]
    kept = [path for path in (*folders, lab.kubeconfig) if path.exists()]
    will = tuple(f"remove {path}" for path in kept) if removal.will else ()
    will += tuple(f"unmount {point}" for point in mounts.left_behind(cache_folder()))

    def run() -> tuple[bool, str]:
        close_connections(lab.keys.folder)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        lab.kubeconfig.unlink(missing_ok=True)
        mounts.take_away(cache_folder(), context.console.say)
        return bool(will), ""

    return Step("forget", "", "keys and kubeconfig", frozenset({removal.key}), run, will=will)


def stake(context: Context, *, host: str = "", **_options: object) -> str:
    """What goes with the machines, in one sentence; "" where there are none."""
    there = list(context.lab.provider.machines())
    names = [name for name in there if name == host] if host else there
    made = [name for name in names if _is_made(context, name)]
    kept = [name for name in names if name not in made]
    said = [f"{_machines(made)} would be removed with all data"] if made else []
    said += [f"{_machines(kept)} would lose all that Kubernetes has there"] if kept else []
    return "; ".join(said)


def _machines(names: Sequence[str]) -> str:
    count = f"{len(names)} machine{'s' if len(names) > 1 else ''}"
    return count if len(names) > NAMED else f"{count} ({', '.join(names)})"


def _gone(context: Context, name: str) -> str:
    made = _is_made(context, name)
    return "remove the machine with all data" if made else "remove all that Kubernetes has there"


def _is_made(context: Context, name: str) -> bool:
    inventory = context.lab.inventory
    return name not in inventory.hosts or inventory.makes(name)
