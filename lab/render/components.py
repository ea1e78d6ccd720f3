"""Settings of kubelet and kube-proxy: given to kubeadm at birth, and kept on nodes that run."""

from __future__ import annotations

from typing import Any

from lab.inventory.models import Inventory
from lab.machines import Traits
from lab.render.detected import said

KUBELET_CONFIG = "/var/lib/kubelet/config.yaml"
"""Written by kubeadm from the cluster's ConfigMap `kubelet-config`, with settings of its own beside ours."""


def kubelet_settings(inventory: Inventory, traits: Traits) -> dict[str, Any]:
    """KubeletConfiguration of every node."""
    settings = said("KubeletConfiguration", inventory) | {
        "maxPods": inventory.kubernetes.max_pods,
        "containerLogMaxSize": f"{inventory.kubernetes.pod_log_max_mib}Mi",
        "rotateCertificates": True,
        "nodeStatusUpdateFrequency": f"{inventory.reaction.status}s",
        "nodeLeaseDurationSeconds": inventory.reaction.lease,
    }
    if traits.shares_kernel:
        # nodes share one disk and one memory with the host: a full host must not evict pods everywhere
        nothing = (
            "imagefs.available",
            "imagefs.inodesFree",
            "memory.available",
            "nodefs.available",
            "nodefs.inodesFree",
        )
        settings |= {
            "failSwapOn": False,
            "imageGCHighThresholdPercent": 100,
            "evictionHard": dict.fromkeys(nothing, "0%"),
        }
    return settings


def kube_proxy_settings(inventory: Inventory, traits: Traits) -> dict[str, Any]:
    """KubeProxyConfiguration of the cluster."""
    settings = said("KubeProxyConfiguration", inventory) | {"mode": inventory.kubernetes.proxy_mode}
    if traits.shares_kernel:
        # nf_conntrack_max is the host's: writing it fails in a container and would end kube-proxy
        settings["conntrack"] = {"maxPerCore": 0, "min": 0}
    return settings
