"""Steps that change what a cluster was born with: one master at a time, out of HAProxy's rotation."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from functools import partial

import yaml

from lab.cluster import settled as born
from lab.cluster.kubeadm import DOCUMENT
from lab.cluster.kubeadm_flags import API_SERVER, CONTROLLERS, SCHEDULER
from lab.cluster.settled import CERTIFICATE, Deviation, Living
from lab.errors import PreflightError
from lab.hosts import rotation
from lab.hosts.converge import HostFacts
from lab.hosts.settled import look
from lab.inventory.settled import Way
from lab.machines import State
from lab.render.kubeadm import init
from lab.steps.context import Context, LabFacts
from lab.steps.engine import Step
from lab.steps.gate import gate
from lab.steps.settled import configuration, refuse
from lab.waits import NotYet, wait_for

SECONDS = 180
"""For a static pod to run with its new flags: kubelet ends the old one within 30 s."""
ASIDE = "/etc/kubernetes/plumbline-pki"
KUBELET = "kubelet.service"
PHASES = {API_SERVER: "apiserver", CONTROLLERS: "controller-manager", SCHEDULER: "scheduler"}


def possible(context: Context, living: Living, deviations: Iterable[Deviation]) -> None:
    """Raises `PreflightError` for what cannot be changed, or not on a cluster that is not whole."""
    refuse(context, [item for item in deviations if item.way is not Way.RECONFIGURE])
    masters = context.lab.inventory.masters
    if not (living.masters or living.silent):
        raise PreflightError(
            f"{context.lab.inventory.lab}: no cluster lives, so none is changed", next_step="invoke build"
        )
    missing = [name for name in masters if name not in living.masters]
    if missing:
        said = "".join(f"\n  {message}" for message in living.silent.values())
        raise PreflightError(
            f"{', '.join(missing)}: no part of a cluster, or no answer: masters are changed one after the "
            f"other, and the others must carry the API meanwhile{said}",
            next_step="write the cluster's own values back into the file, invoke build, then try again",
        )
    if living.documents is None:
        raise PreflightError("no API server tells its own configuration", next_step="invoke status")


def _works(node: HostFacts) -> bool:
    """Whether it is a part of the cluster, and is not being shut down: its kubelet is at work."""
    return node.joined and node.units[KUBELET].active == "active"


def whole(context: Context, facts: LabFacts) -> None:
    """Raises `PreflightError` unless every machine runs and every node is at work in the cluster."""
    nodes = context.lab.inventory.nodes
    off = [name for name, state in facts.states.items() if state is not State.RUNNING or name in facts.silent]
    off += [name for name in nodes if name not in off and not _works(facts.hosts[name])]
    if off:
        raise PreflightError(
            f"{', '.join(off)}: not running, or not at work in the cluster; only a whole lab is reconfigured",
            next_step="write the cluster's own values back into the file, invoke build, then try again",
        )


def masters(context: Context, living: Living, after: Iterable[Step] = ()) -> list[Step]:
    """One step for each master of which something differs, a gate after each."""
    steps: list[Step] = []
    for name in context.lab.inventory.masters:
        will = sentences(_of(context, living, name))
        if not will:
            continue
        if not steps:
            steps.append(gate(context, "", [step.key for step in after]))
        needs = frozenset({steps[-1].key})
        title = "control plane as the inventory says"
        step = Step("reconfigure", name, title, needs, partial(change, context, name), will=will)
        steps += [step, gate(context, name, {step.key})]
    return steps


def _of(context: Context, living: Living, name: str) -> tuple[Deviation, ...]:
    inventory = context.lab.inventory
    return tuple(born.of_master(inventory, configuration(context), living.masters[name], inventory.nodes))


def sentences(deviations: Iterable[Deviation]) -> tuple[str, ...]:
    """What is changed, each once."""
    found = []
    for item in deviations:
        if item.setting == CERTIFICATE:
            found.append(f"certificate of the API server: {', '.join(item.names)} into its names")
        else:
            found.append(f"{_component(item)}: {item.setting}: {item.living} -> {item.wanted}")
    return tuple(dict.fromkeys(found))


def _component(item: Deviation) -> str:
    return next((name for name in PHASES if name in item.where), item.where)


def change(context: Context, name: str) -> tuple[bool, str]:
    """Bring one master's static pods and certificate to the inventory; decided by what it has right now."""
    lab, note = context.lab, context.noting(f"reconfigure:{name}")
    single = len(lab.inventory.masters) == 1
    aside = nullcontext() if single else rotation.out(lab.ssh, lab.inventory.balancer, name, note)
    with aside:
        living = wait_for(f"answer of {name}", partial(_seen, context, name), seconds=30, interval=1)
        differing = _of(context, living, name)
        for component, phase in PHASES.items():
            if any(component in item.where for item in differing):
                _kubeadm(context, name, f"control-plane {phase}")
                _settles(context, name, component)
        if any(item.setting == CERTIFICATE for item in differing):
            _certificate(context, name)
            _settles(context, name, CERTIFICATE)
    return True, "; ".join(sentences(differing))


def _seen(context: Context, name: str) -> Living:
    """A master as it is now. Raises `NotYet` while it does not answer."""
    living = look(context.lab.ssh, [name])
    if name not in living.masters:
        raise NotYet(living.silent.get(name, f"{name}: is no part of a cluster"))
    return living


def _settles(context: Context, name: str, what: str) -> None:
    """Wait until a component runs as it should, once and in good health, or serves its new certificate."""
    note = context.noting(f"reconfigure:{name}")

    def probe() -> None:
        living = _seen(context, name)
        master = living.masters[name]
        left = [item for item in _of(context, living, name) if what in item.where or what == item.setting]
        state = sentences(left)[0] if left else ""
        component = API_SERVER if what == CERTIFICATE else what
        if not state and len(master.running.get(component, ())) != 1:
            state = f"{len(master.running.get(component, ()))} processes of {component}"
        # a master says of the first two whether they are well
        if not state and not master.healthy.get(component, component == SCHEDULER):
            state = f"{component} is not healthy"
        if state:
            note(state)
            raise NotYet(state)

    wait_for(
        f"{what} of {name} as the inventory says",
        probe,
        seconds=SECONDS,
        interval=1,
        next_step=f"invoke logs --host {name}; then invoke reconfigure again: it goes on where it is",
    )


def _document(context: Context, name: str, **changes: str) -> str:
    """kubeadm's documents for a master, with other values at the top of the ClusterConfiguration."""
    lab = context.lab
    text = init(lab.inventory, lab.provider.traits_of(name), context.pins, name)
    documents = [item for item in yaml.safe_load_all(text) if item]
    for item in documents:
        if item["kind"] == "ClusterConfiguration":
            item |= changes
    return str(yaml.safe_dump_all(documents))


def _kubeadm(context: Context, name: str, phase: str, **changes: str) -> None:
    """Run a phase of `kubeadm init` with our document. Raises `CommandError` with what it says."""
    command = (
        f"install -d -m 700 /run/plumbline && (umask 077 && cat > {DOCUMENT}) && "
        f"{{ kubeadm init phase {phase} --config {DOCUMENT}; code=$?; rm -f {DOCUMENT}; exit $code; }}"
    )
    context.lab.ssh.run(name, command, stdin=_document(context, name, **changes))


def _certificate(context: Context, name: str) -> None:
    """A new pair beside the old one, put in its place at once; the API server reads it by itself.

    The key goes first: a pair that was exchanged by half has the old names still and is made again.
    """
    authority = "ln -sf /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/ca.key"
    context.lab.ssh.run(name, f"rm -rf {ASIDE} && install -d -m 700 {ASIDE} && {authority} {ASIDE}/")
    _kubeadm(context, name, "certs apiserver", certificatesDir=ASIDE)
    pki = "/etc/kubernetes/pki"
    exchange = " && ".join(
        f"mv -f {ASIDE}/{file} {pki}/{file}" for file in ("apiserver.key", "apiserver.crt")
    )
    context.lab.ssh.run(name, f"{exchange} && rm -rf {ASIDE}")


def uploading(context: Context, living: Living, needs: Iterable[str]) -> list[Step]:
    """kubeadm's ConfigMap last: while it differs, the operation is not at its end."""
    if living.documents is None:
        return []
    inventory = context.lab.inventory
    differing = born.configuration(
        inventory, configuration(context), living.documents.cluster, inventory.nodes
    )
    will = tuple(f"{item.where}: {item.setting}: {item.living} -> {item.wanted}" for item in differing)
    if not will:
        return []
    run = partial(upload, context)
    return [Step("kubeadm-config", "", "kubeadm's ConfigMap", frozenset(needs), run, will=will)]


def upload(context: Context) -> tuple[bool, str]:
    """The ConfigMap that nodes take the cluster's settings from when they join."""
    _kubeadm(context, context.lab.inventory.masters[0], "upload-config kubeadm")
    return True, ""
