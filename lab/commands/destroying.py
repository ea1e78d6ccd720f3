"""destroy: what is at stake is said first, and whoever removes a lab that is worth something is asked."""

from __future__ import annotations

import shutil
from contextlib import nullcontext

from rich.markup import escape

from lab.artifacts.mounts import take_away
from lab.artifacts.store import cache_folder
from lab.cluster import etcd, quorum
from lab.cluster.api import Api, patiently
from lab.commands import asking
from lab.commands.session import Session, session, shown
from lab.damage import Journal
from lab.errors import FailedError, InputError, PlumblineError, PreflightError
from lab.hosts.converge import ETCD_DATA
from lab.labs import Lab
from lab.locks import exclusive
from lab.machines import State
from lab.ssh import close_connections
from lab.steps.preflight import states

NAMED = 20
"""Machines that are told by name; of more only the number is."""


@shown
def destroy(inventory: str, provider: str, host: str, yes: str, lose_quorum: bool) -> None:
    """Remove the lab, or one machine of it; what this lab did not make is not touched."""
    with (
        session("destroy", inventory, provider, mends=False) as opened,
        exclusive(opened.lab, "invoke destroy"),
    ):
        lab = opened.lab
        agreed = asking.named(lab.inventory.lab, yes)
        if host:
            lab.host(host)
        masters = lab.inventory.masters
        if lose_quorum and host not in masters:
            raise InputError(
                f"--lose-quorum: means nothing without a master; there are: {', '.join(masters)}",
                next_step=f"invoke destroy --host {masters[0]} --lose-quorum",
            )
        if host:
            found = states(lab)
            with lab.inside() if State.RUNNING in found.values() else nullcontext():
                _one(opened, found, host, agreed, lose_quorum)
        else:
            _all(opened, agreed)


def _all(opened: Session, agreed: bool) -> None:
    lab = opened.lab
    there = lab.provider.machines()
    if there and not agreed:
        _confirm(opened, _stake(lab, list(there)), "invoke destroy")
    changed = lab.provider.clean()
    # what was left broken went with its machines
    Journal(lab).clear()
    close_connections(lab.keys.folder)
    for folder in (lab.folder / "ssh", lab.keys.folder / "hosts"):
        shutil.rmtree(folder, ignore_errors=True)
    lab.kubeconfig.unlink(missing_ok=True)
    take_away(cache_folder(), opened.console.say)
    rest = lab.provider.leftovers()
    if rest:
        raise FailedError(
            f"{opened.inventory.lab}: left behind: {dict(rest.items)}",
            next_step="invoke destroy once more",
        )
    said = "removed: no machine, process, mount or network of it is left" if changed else "nothing to remove"
    opened.console.say(f"{opened.inventory.lab}: {said}")


def _stake(lab: Lab, names: list[str]) -> str:
    """What goes with these machines, in one sentence."""
    made = [name for name in names if name not in lab.inventory.hosts or lab.inventory.makes(name)]
    kept = [name for name in names if name not in made]
    said = [f"{_told(made)} would be removed with all data"] if made else []
    said += [f"{_told(kept)} would lose all that Kubernetes has there"] if kept else []
    return "; ".join(said)


def _told(names: list[str]) -> str:
    count = f"{len(names)} machine{'s' if len(names) > 1 else ''}"
    return count if len(names) > NAMED else f"{count} ({', '.join(names)})"


def _confirm(opened: Session, stake: str, command: str) -> None:
    """Go on with a disposable lab, or after its name was typed. Raises `InputError` otherwise."""
    name = opened.inventory.lab
    if opened.inventory.disposable:
        return
    if not asking.somebody_there():
        raise InputError(
            f"{name}: {stake}; the lab is not disposable, and there is no terminal to ask on",
            next_step=f"{command} --yes {name}",
        )
    opened.console.say(escape(f"{name}: {stake}"))
    with opened.console.paused():
        said = asking.answer(f"Type the name of the lab to go on [{name}]: ", stopped="nothing was removed")
    if said != name:
        raise InputError(
            f"{name}: nothing was removed: the answer was {said or 'empty'}, not the name of the lab",
            next_step=f"{command}, or without a question: {command} --yes {name}",
        )


def _one(opened: Session, found: dict[str, State], host: str, agreed: bool, lose_quorum: bool) -> None:
    """A machine alone: out of etcd and of the cluster as far as these live, and gone."""
    lab, say = opened.lab, opened.console.say
    command = f"invoke destroy --host {host}" + (" --lose-quorum" if lose_quorum else "")
    there = found[host] in (State.RUNNING, State.OFF, State.PAUSED)
    taken, through = quorum.Removal(()), ""
    if there and host in lab.inventory.masters:
        taken, through = _look(lab, found, host)
        for sentence in taken.sentences:
            say(escape(sentence), host)
        if taken.refusal and not lose_quorum:
            raise PreflightError(
                f"{host}: {taken.refusal}; nothing was removed",
                next_step="invoke status, then mend etcd (invoke build starts machines that are off); "
                f"to lose it: {command} --lose-quorum",
            )
        if taken.refusal:
            say(escape(f"as --lose-quorum says: {taken.refusal}"), host)
    if there and not agreed:
        _confirm(opened, _stake(lab, [host]), command)
    api = _api(lab, found) if there and not taken.refusal and host in lab.inventory.nodes else None
    for member in taken.members:
        etcd.remove(lab.ssh, through, member)
        say(f"etcd: member {member.name or member.id} removed", host)
    changed = lab.provider.destroy(host)
    say("machine removed" if changed else "there is no such machine", host)
    if api and patiently(f"Node {host} removed", lambda: api.delete(f"/api/v1/nodes/{host}")):
        say("Node object removed", host)


def _look(lab: Lab, found: dict[str, State], host: str) -> tuple[quorum.Removal, str]:
    """What a living etcd says to the removal, and the master that it was asked through: another, if any."""
    running = [name for name in lab.inventory.masters if found[name] is State.RUNNING]
    said = "no master runs"
    for master in sorted(running, key=lambda name: name == host):
        try:
            listed, health = etcd.members(lab.ssh, master), etcd.healthy(lab.ssh, master)
        except PlumblineError as error:
            said = error.message.splitlines()[0]
            continue
        return quorum.removal(listed, health, host, str(lab.inventory.hosts[host].address)), master
    holders = [name for name in lab.inventory.masters if _may_hold(lab, name, found[name])]
    return quorum.unseen(host, holders, said), ""


def _may_hold(lab: Lab, name: str, state: State) -> bool:
    """Whether a master holds data of etcd, or nobody can tell."""
    if state is not State.RUNNING:
        return state in (State.OFF, State.PAUSED)
    try:
        return lab.ssh.try_run(name, f"test -d {ETCD_DATA}", seconds=10).code == 0
    except PlumblineError:
        return True


def _api(lab: Lab, found: dict[str, State]) -> Api | None:
    """The API, if it answers. Without it a Node object stays, and goes when the host joins again."""
    if State.RUNNING not in [found[name] for name in lab.inventory.masters]:
        return None
    try:
        api = lab.api
    except PlumblineError:
        return None
    return api if api.ready() else None
