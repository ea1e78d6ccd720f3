"""Defects of what a cluster was born with: masters that were changed by hand, one of them, or by half."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, breakage, edited
from lab.selftest.on_cluster import rewritten

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
        *_edited_documents(lab),
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


def _edited_documents(lab: Inventory) -> list[Breakage]:
    """What kubeadm will join and upgrade by is another cluster's."""
    document = ("configmap/kubeadm-config", "kube-system")
    return [
        breakage(
            name="document-of-another-domain",
            title="kubeadm's document names another domain of the cluster's DNS",
            layer="cluster",
            row="P2-04",
            says=r"dnsDomain: the cluster has stranger\.local",
            listed=True,
            **rewritten(
                lab,
                "document-of-another-domain",
                *document,
                r"s|^\( *\)dnsDomain: .*|\1dnsDomain: stranger.local|",
            ),
        ),
        breakage(
            name="document-of-another-endpoint",
            title="kubeadm's document leads those that join to another machine",
            layer="cluster",
            row="P2-04",
            says=r"controlPlaneEndpoint: the cluster has 192\.0\.2\.50",
            listed=True,
            **rewritten(
                lab,
                "document-of-another-endpoint",
                *document,
                r"s|^\( *\)controlPlaneEndpoint: [^:]*|\1controlPlaneEndpoint: 192.0.2.50|",
            ),
        ),
    ]
