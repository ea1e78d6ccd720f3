"""The control plane's static pods as kubeadm makes them of our document, and where a master has others.

Masters that were all edited alike agree with each other. What they should be only kubeadm knows: most of it
is kubeadm's own, and some depends on folders of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import nothing
from lab.checks.words import shown
from lab.cluster.drift import differences
from lab.cluster.managed_fields import MISSING
from lab.cluster.settled import Master, flags
from lab.objects import Object
from lab.own_yaml import LOADER, loads
from lab.render.kubeadm import init

COMMAND = (
    "export KUBEADM_INIT_DRYRUN_DIR=$(mktemp -d) && cd $KUBEADM_INIT_DRYRUN_DIR && cat > document"
    " && kubeadm init phase control-plane all --dry-run --config document >&2"
    " && kubeadm init phase etcd local --dry-run --config document >&2"
    " && for file in tmp/*/*.yaml; do echo ---; cat $file; done; code=$?;"
    " cd / && rm -rf $KUBEADM_INIT_DRYRUN_DIR; exit $code"
)
"""Reads the documents of `kubeadm init` from its input, writes nothing that stays (kubeadm 1.31, init.go)."""
OF_EACH_MASTER = ("initial-cluster", "initial-cluster-state")
"""Flags of etcd that tell of the moment at which a member joined."""


def are_kubeadms(driver: Driver, facts: Facts, master: Master) -> None:
    """A master's manifests, and the processes that run, are what kubeadm makes there of the inventory.

    Raises `CouldNotTell` when kubeadm makes nothing.
    """
    host = facts.host
    document = init(driver.inventory, driver.traits[host], driver.pins, host)
    try:
        wanted = made(driver.read(host, COMMAND, stdin=document))
    except ValueError as error:
        raise CouldNotTell(f"{host}: {error}", next_step=f"invoke ssh {host}") from error
    found = [*unlike_manifests(wanted, facts.manifests), *unlike_processes(wanted, master.running)]
    command = "tail -n +1 /etc/kubernetes/manifests/*.yaml; ps -eo args"
    nothing("static pods", found, rule="as kubeadm makes them of the inventory", command=command, host=host)


def made(output: str) -> dict[str, Object]:
    """The static pods of a dry run by name. Raises `ValueError` for an output without pods."""
    try:
        pods = {pod["metadata"]["name"]: pod for pod in yaml.load_all(output, LOADER) if pod}
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise ValueError(f"kubeadm's dry run tells no pods: {output[-300:]}") from error
    if not pods:
        raise ValueError("kubeadm's dry run tells no pods")
    return pods


def unlike_manifests(wanted: Mapping[str, Object], texts: Mapping[str, str]) -> Iterator[str]:
    """Every flag and field in which manifests (texts by file name) are not kubeadm's pods."""
    for name, pod in wanted.items():
        file = f"{name}.yaml"
        try:
            held = loads(texts.get(file, ""))
            ours, theirs = _parts(pod), _parts(held)
        except (yaml.YAMLError, TypeError, KeyError, IndexError):
            yield f"{file}: no manifest of a pod"
            continue
        yield from _unlike_flags(file, ours[0], theirs[0])
        for path, said, seen in differences(ours[1], theirs[1]):
            yield f"{file} {path}: {_told(seen)} (kubeadm: {_told(said)})"


def unlike_processes(
    wanted: Mapping[str, Object], running: Mapping[str, Sequence[Sequence[str]]]
) -> Iterator[str]:
    """Every flag with which a component runs otherwise than its pod says; command lines by component."""
    for name, pod in wanted.items():
        lines = running.get(name, ())
        if not lines:
            yield f"{name}: does not run"
        for line in lines:
            yield from _unlike_flags(f"{name} runs with", _parts(pod)[0], line)


def _parts(pod: Object) -> tuple[list[str], Object]:
    """The command line of a pod's one container, and the pod without it and without what is no setting."""
    container = dict(pod["spec"]["containers"][0])
    command = list(container.pop("command"))
    rest = {**pod["spec"], "containers": [container, *pod["spec"]["containers"][1:]]}
    meta = {key: value for key, value in pod["metadata"].items() if key != "creationTimestamp"}
    return command, {"metadata": meta, "spec": rest}


def _unlike_flags(where: str, wanted: Sequence[str], held: Sequence[str]) -> Iterator[str]:
    ours, theirs = flags(wanted), flags(held)
    for name in dict.fromkeys([*ours, *theirs]):
        seen, said = theirs.get(name, MISSING), ours.get(name, MISSING)
        if seen != said and name not in OF_EACH_MASTER:
            yield f"{where} --{name}: {_told(seen)} (kubeadm: {_told(said)})"


def _told(value: Any) -> str:
    return "not given" if value is MISSING else shown(value, 120)
