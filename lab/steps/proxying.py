"""kube-proxy in another mode: its ConfigMap, and its pods, which read it when they start."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from typing import Any

from lab.cluster.api import patiently
from lab.cluster.workloads import named, ready
from lab.errors import FailedError
from lab.hosts.settled import KUBE_PROXY
from lab.objects import Object
from lab.own_yaml import as_kubernetes, loads
from lab.steps.context import Context
from lab.steps.engine import Step
from lab.steps.services import READY_SECONDS
from lab.waits import NotYet, wait_for

PODS = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
DIGEST = "plumbline/config-sha256"
"""Annotation of the ConfigMap that we changed and of the pods that were started with it: where they differ, a
restart is owed, whoever was killed in between."""
_NAME = {"name": "kube-proxy", "namespace": "kube-system"}


def proxying(context: Context, needs: Iterable[str]) -> list[Step]:
    """The step that changes the mode, if it differs or its pods were not all restarted."""
    configmap, pods = _held(context, KUBE_PROXY), _held(context, PODS)
    living, wanted = (
        _settings(configmap).get("mode") or "iptables",
        context.lab.inventory.kubernetes.proxy_mode,
    )
    if living != wanted:
        change = f"kube-proxy: mode: {living} -> {wanted}"
    elif _digest(configmap) != _digest(pods.get("spec", {}).get("template", {})) and _digest(configmap):
        change = f"kube-proxy: finish its change to {wanted}"
    else:
        return []
    will = (change, "kube-proxy: restart its pods, one node after the other")
    return [Step("mode-kube-proxy", "", change, frozenset(needs), partial(change_mode, context), will=will)]


def change_mode(context: Context) -> tuple[bool, str]:
    """The ConfigMap with its digest in one write, then the same digest on the pods, which restarts them."""
    configmap = _held(context, KUBE_PROXY)
    settings = _settings(configmap) | {"mode": context.lab.inventory.kubernetes.proxy_mode}
    text = as_kubernetes(settings)
    marked = {DIGEST: hashlib.sha256(text.encode()).hexdigest()}
    wanted: list[Object] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _NAME | {"annotations": marked},
            "data": {"config.conf": text},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": dict(_NAME),
            "spec": {"template": {"metadata": {"annotations": marked}}},
        },
    ]
    for item in wanted:
        patiently(f"{item['kind']} kube-proxy", partial(context.api.apply, item))
    wait_for(
        "restart of kube-proxy", partial(_ready, context), seconds=READY_SECONDS, next_step="invoke status"
    )
    return True, ""


def _ready(context: Context) -> None:
    context.check()
    try:
        ready(context.api, named("daemonset/kube-system/kube-proxy"))
    except FailedError as error:
        raise NotYet(error.message) from error


def _held(context: Context, path: str) -> Object:
    found = patiently(path.rpartition("/")[2], lambda: context.api.get(path))
    if found is None:
        raise FailedError(f"{path}: the cluster has none", next_step="invoke status")
    return found


def _settings(configmap: Object) -> dict[str, Any]:
    settings: dict[str, Any] = loads(configmap["data"]["config.conf"])
    return settings


def _digest(item: Object) -> str:
    return str(item.get("metadata", {}).get("annotations", {}).get(DIGEST, ""))
