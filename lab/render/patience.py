"""What a lab's patience means for the probes of its pods: a slow container is not a dead one.

Where everything takes ten times as long, kubelets would kill an API server that answers after 20 s and an
add-on that answers after 2 s, and each start makes the machine slower.
"""

from __future__ import annotations

from typing import Any

from lab.inventory.models import Inventory

STATIC_PODS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
PATCHES = "/etc/kubernetes/patches"
"""Folder of kubeadm's patches for static pods."""
STATIC_POD_TIMEOUT = 15
"""timeoutSeconds of kubeadm's static pods (cmd/kubeadm/app/util/staticpod/utils.go, createHTTPProbe)."""
PROBES = {"livenessProbe", "readinessProbe", "startupProbe"}
DEFAULTS = {"timeoutSeconds": 1, "failureThreshold": 3}
"""The API's own values of a probe that says none (core/v1, Probe)."""


def static_pod_seconds(inventory: Inventory) -> int:
    """How long a part of the control plane may take to answer its kubelet's probe."""
    return round(STATIC_POD_TIMEOUT * inventory.patience)


def patient(item: dict[str, Any], inventory: Inventory) -> dict[str, Any]:
    """An object of an add-on, the probes of its pod template as patient as the lab; changed in place."""
    if inventory.patience == 1:
        return item
    pod = ((item.get("spec") or {}).get("template") or {}).get("spec") or {}
    for container in [*pod.get("initContainers", ()), *pod.get("containers", ())]:
        for name in PROBES & container.keys():
            probe = container[name]
            probe |= {
                key: round(probe.get(key, value) * inventory.patience) for key, value in DEFAULTS.items()
            }
    return item
