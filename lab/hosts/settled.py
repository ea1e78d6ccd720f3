"""Gathers what a living cluster was born with, from every master that answers; changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import yaml
from pydantic import TypeAdapter

from lab.answers import AnswerPart, fit, read
from lab.cluster.kubeadm import JOINED
from lab.cluster.settled import Documents, Living, Master, names_in
from lab.errors import DeadlineError, FailedError
from lab.hosts import programs
from lab.own_yaml import loads
from lab.render.roles import port_number
from lab.ssh import Ssh

KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
KUBE_PROXY = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
NODES = "/api/v1/nodes"
DOCUMENTS = (KUBEADM_CONFIG, KUBE_PROXY, NODES)
CONTROLLERS = "the controller manager"
"""What the roles call its port."""
SECONDS = 100


class MasterAnswer(AnswerPart):
    """What `remote_settled.py` says on a master.

    `running` are the command lines of each component's processes, `manifests` the texts of its static pods by
    file name; `served` and `certificate` are PEM texts, "" for none; `documents` are objects by path, None
    when its API server does not answer.
    """

    joined: bool
    running: Mapping[str, Sequence[Sequence[str]]]
    manifests: Mapping[str, str]
    served: str
    healthy: Mapping[str, bool]
    certificate: str
    documents: Mapping[str, dict[str, Any]] | None


_ANSWER = TypeAdapter(MasterAnswer)


def asked(paths: Iterable[str] = ()) -> dict[str, Any]:
    """The request that a master's program answers; `paths` are those of objects."""
    return {"joined": JOINED, "controllers": port_number(CONTROLLERS), "documents": list(paths)}


def look(ssh: Ssh, masters: Iterable[str], seconds: float = SECONDS) -> Living:
    """The cluster as these masters tell it; one that does not answer hides nothing of the others."""
    names = tuple(masters)
    if not names:
        return Living({})

    def ask(name: str) -> MasterAnswer | str:
        # one server's documents are enough, most of the time the first one's
        return _ask(ssh, name, DOCUMENTS if name == names[0] else (), seconds)

    with ThreadPoolExecutor(len(names)) as pool:
        return told(ssh, dict(zip(names, pool.map(ask, names), strict=True)), seconds)


def told(ssh: Ssh, answers: Mapping[str, MasterAnswer | str], seconds: float = SECONDS) -> Living:
    """The cluster as masters have told it, each in its answer, or why there is none.

    Where none of them was asked for documents, or could tell them, those that serve are asked one by one.
    """
    silent = {name: said for name, said in answers.items() if isinstance(said, str)}
    seen = {name: said for name, said in answers.items() if not isinstance(said, str) and said.joined}
    documents = next(filter(None, map(_documents, seen.values())), None)
    for name, said in seen.items() if documents is None else ():
        if said.served and (documents := _documents(_ask(ssh, name, DOCUMENTS, seconds))):
            break
    return Living({name: _master(name, said) for name, said in seen.items()}, documents, silent)


def _ask(ssh: Ssh, name: str, paths: Iterable[str], seconds: float) -> MasterAnswer | str:
    """The answer of a master, or why there is none."""
    try:
        said = ssh.run(
            name, programs.command(programs.SETTLED), seconds=seconds, stdin=json.dumps(asked(paths))
        )
        return fit(name, "control plane", _ANSWER, read(name, said))
    except (FailedError, DeadlineError) as error:
        return error.message


def _documents(said: MasterAnswer | str) -> Documents | None:
    if isinstance(said, str) or not said.documents:
        return None
    found = said.documents
    return Documents(
        loads(found[KUBEADM_CONFIG]["data"]["ClusterConfiguration"]),
        loads(found[KUBE_PROXY]["data"]["config.conf"]),
        tuple(found[NODES]["items"]),
    )


def _master(name: str, said: MasterAnswer) -> Master:
    commands: dict[str, tuple[str, ...]] = {}
    for text in said.manifests.values():
        try:
            pod = loads(text)
            commands |= {item["name"]: tuple(item["command"]) for item in pod["spec"]["containers"]}
        except (yaml.YAMLError, TypeError, KeyError):
            continue  # no pod: the check of the manifests tells it
    running = {key: tuple(tuple(line) for line in lines) for key, lines in said.running.items()}
    served, held = names_in(said.served), names_in(said.certificate)
    files = tuple(file for file in said.manifests if not file.startswith("."))
    return Master(name, running, commands, served, held, said.healthy, files)
