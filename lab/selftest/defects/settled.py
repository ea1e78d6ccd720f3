"""Defects of what a cluster was born with: masters that were changed by hand, one of them, or by half."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, breakage, edited

MANIFESTS = "/etc/kubernetes/manifests"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    second, third = lab.masters[1:3]
    copy = f"{MANIFESTS}/kube-scheduler-copy.yaml"
    return [
        breakage(
            name="reaction-mixed",
            title="one master's controller manager has another grace period",
            layer="cluster",
            row="P2-04",
            at=second,
            says=f"node-monitor-grace-period: the cluster has 77s.*{second}",
            settles=True,
            listed=True,
            reddens=("P2-03",),
            **edited(
                "reaction-mixed",
                f"{MANIFESTS}/kube-controller-manager.yaml",
                "s/node-monitor-grace-period=.*/node-monitor-grace-period=77s/",
            ),
        ),
        breakage(
            name="static-pod-copy",
            title="a manifest was copied beside itself, and the kubelet starts both",
            layer="cluster",
            row="P2-05",
            host=third,
            says="manifests of static pods.*kube-scheduler-copy",
            alone=True,
            settles=True,
            touches=(f"file {copy}",),
            damage=f"cp {MANIFESTS}/kube-scheduler.yaml {copy}",
            repair=f"rm -f {copy}",
        ),
    ]
