"""Gathers what a living cluster was born with, from every master that answers; changes nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from lab.cluster.kubeadm import JOINED
from lab.cluster.settled import Documents, Living, Master, names_in
from lab.errors import DeadlineError, FailedError
from lab.ssh import Ssh

PROGRAM = Path(__file__).with_name("remote_settled.py")
KUBEADM_CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
KUBE_PROXY = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
NODES = "/api/v1/nodes"
SECONDS = 100


def look(ssh: Ssh, masters: Iterable[str]) -> Living:
    """The cluster as these masters tell it; one that does not answer hides nothing of the others."""
    names = tuple(masters)
    if not names:
        return Living({})
    with ThreadPoolExecutor(len(names)) as pool:
        answers = dict(zip(names, pool.map(lambda name: _ask(ssh, name), names), strict=True))
    silent = {name: str(said) for name, said in answers.items() if isinstance(said, str)}
    seen = {name: said for name, said in answers.items() if not isinstance(said, str) and said["joined"]}
    documents = None
    for name, said in seen.items():
        if said["served"] and (documents := _documents(ssh, name)):
            break
    return Living({name: _master(name, said) for name, said in seen.items()}, documents, silent)


def _ask(ssh: Ssh, name: str, paths: Iterable[str] = ()) -> dict[str, Any] | str:
    """The answer of a master, or why there is none."""
    command = f"python3 -c {shlex.quote(PROGRAM.read_text())}"
    request = json.dumps({"joined": JOINED, "documents": list(paths)})
    try:
        said = ssh.run(name, command, seconds=SECONDS, stdin=request)
        answer: dict[str, Any] = json.loads(said)
    except (FailedError, DeadlineError) as error:
        return error.message
    except ValueError:
        return f"{name}: an answer that is no JSON: {said[:200]!r}"
    return answer


def _documents(ssh: Ssh, name: str) -> Documents | None:
    said = _ask(ssh, name, (KUBEADM_CONFIG, KUBE_PROXY, NODES))
    if isinstance(said, str) or said["documents"] is None:
        return None
    found = said["documents"]
    return Documents(
        yaml.safe_load(found[KUBEADM_CONFIG]["data"]["ClusterConfiguration"]),
        yaml.safe_load(found[KUBE_PROXY]["data"]["config.conf"]),
        tuple(found[NODES]["items"]),
    )


def _master(name: str, said: dict[str, Any]) -> Master:
    commands: dict[str, tuple[str, ...]] = {}
    for text in said["manifests"].values():
        try:
            pod = yaml.safe_load(text)
            commands |= {item["name"]: tuple(item["command"]) for item in pod["spec"]["containers"]}
        except (yaml.YAMLError, TypeError, KeyError):
            continue  # no pod: the check of the manifests tells it
    running = {key: tuple(tuple(line) for line in lines) for key, lines in said["running"].items()}
    served, held = names_in(said["served"]), names_in(said["certificate"])
    files = tuple(file for file in said["manifests"] if not file.startswith("."))
    return Master(name, running, commands, served, held, said["healthy"], files)
