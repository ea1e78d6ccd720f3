"""How a seeded defect changes what Prometheus does, and waits until it does so."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from addons.prometheus.section_config import NAMESPACE
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT
from lab.selftest.on_cluster import PODS_NETWORK, rewritten

SPACE = f"-n {NAMESPACE}"
MARK = "plumbline.local/defect"
"""An annotation of its pod: the kubelet brings ConfigMaps at once to a pod that changes."""
PROXY = f"/api/v1/namespaces/{NAMESPACE}/pods/prometheus-0:9090/proxy"
CONFIG, RULES, TARGETS, OWN = "api/v1/status/config", "api/v1/rules", "api/v1/targets?state=active", "metrics"
SECONDS = 45
"""A damage may take a minute: Prometheus looks for what is new every ten seconds, at targets every thirty."""
METRICS = "what Prometheus was told to do"
PROMETHEUS, ALERTS = "configmap/prometheus", "configmap/prometheus-rules"


def reread(lab: Inventory, name: str, item: str, program: str, path: str, there: str) -> dict[str, Any]:
    """Damage and repair of one of Prometheus' ConfigMaps. Each ends when Prometheus acts by it, which an
    answer at `path` shows by having the pattern `there` or not."""
    found = rewritten(lab, name, item, NAMESPACE, program)
    mark = f"{KEPT}/{name}.read"
    read = f'{KUBECTL} {SPACE} annotate pod prometheus-0 {MARK}="$(date +%s)" --overwrite >/dev/null'
    forgotten = f"{KUBECTL} {SPACE} annotate pod prometheus-0 {MARK}- >/dev/null"
    return found | {
        "damage": f"mkdir -p {KEPT} && touch {mark} && {found['damage']} && {read} && {until(path, there)}",
        "repair": f"test ! -e {mark} || {{ {found['repair']} && {read} && {until(path, there, gone=True)};"
        f" {forgotten} && rm {mark}; }}",
        "touches": (*found["touches"], METRICS),
        "needs": (PODS_NETWORK,),
    }


def seen(found: dict[str, Any], path: str, there: str, *, gone: bool = False) -> dict[str, Any]:
    """A damage that ends when an answer of Prometheus shows it, by having a pattern or having it no more."""
    return found | {"damage": f"{found['damage']} && {until(path, there, gone=gone)}"}


def until(path: str, there: str, *, gone: bool = False) -> str:
    """Wait for an answer that has a pattern, or that has it no more; an answer there must be."""
    word = "! " if gone else ""
    return (
        f"end=$(( $(date +%s) + {SECONDS} )); until said=$({KUBECTL} get --raw {quote(f'{PROXY}/{path}')})"
        f' && test -n "$said" && {word}printf %s "$said" | grep -q {quote(there)}'
        "; do test $(date +%s) -lt $end || break; sleep 1; done 2>/dev/null"
    )


def of_haproxy(*lines: str) -> str:
    """A sed program that writes lines into the job of the balancer."""
    more = "".join(rf"\n\1  {line}" for line in lines)
    return rf"s/^\( *\)- job_name: haproxy$/&{more}/"


def moved_data(lab: Inventory, change: Any, back: Any) -> dict[str, Any]:
    """Damage and repair of the volume of its data."""

    def patch(fields: Any) -> str:
        body = {"spec": {"template": {"spec": {"volumes": [{"name": "data", **fields}]}}}}
        rolled = f"{KUBECTL} {SPACE} rollout status statefulset prometheus --timeout=50s >/dev/null"
        change = f"patch statefulset prometheus --type strategic -p {quote(json.dumps(body))}"
        return f"{KUBECTL} {SPACE} {change} >/dev/null && {rolled}"

    return {
        "at": lab.masters[0],
        "damage": patch(change),
        "repair": patch(back),
        "touches": ("statefulset/prometheus", METRICS),
    }
