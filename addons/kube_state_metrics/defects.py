"""Seeded defects of kube-state-metrics."""

from __future__ import annotations

import json
from shlex import quote
from urllib.parse import quote as in_url

from addons.prometheus.defects_read_anew import seen
from addons.prometheus.section_config import NAMESPACE
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import Defect, breakage
from lab.selftest.on_cluster import kubectl

PLACE = "/spec/template/spec/containers/0/args/3"
"""Of `SHOWN` in its Deployment."""
OPTION = "--metric-labels-allowlist"
SHOWN, OTHER = f"{OPTION}=nodes=[kubernetes.io/arch]", f"{OPTION}=nodes=[kubernetes.io/os]"
SERIES = 'kube_node_labels{label_kubernetes_io_arch!=""}'
TOLD, VALUE = f"api/v1/query?query={in_url(SERIES)}", '"value"'


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    space = f"-n {NAMESPACE}"
    there = f"{KUBECTL} {space} rollout status deployment kube-state-metrics --timeout=50s >/dev/null"

    def patch(value: str) -> str:
        change = json.dumps([{"op": "replace", "path": PLACE, "value": value}])
        return f"{space} patch deployment kube-state-metrics --type json -p {quote(change)} >/dev/null"

    changed = kubectl(lab, patch(OTHER), patch(SHOWN), "deployment/kube-state-metrics")
    return [
        breakage(
            layer="services",
            name="architectures-untold",
            title="kube-state-metrics shows another label of nodes than their architecture",
            row="P3-59",
            says=f"{lab.masters[0]}: not told",
            reddens=("P2-07", "L3-27", "P3-53"),
            alone=True,
            **seen(changed, TOLD, VALUE, gone=True) | {"repair": f"{changed['repair']} && {there}"},
        )
    ]
