"""Seeded defects of CoreDNS."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import Defect, Slip, breakage
from lab.selftest.on_cluster import kubectl, rewritten


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    dns = "-n kube-system scale deployment coredns --replicas"
    return [
        Slip(
            name="replicas-crowded",
            title="both replicas of CoreDNS may run on one node",
            row="L0-20",
            host="",
            says="coredns",
            file="addons/coredns/patch.yaml.j2",
            old="podAntiAffinity:",
            new="podAffinity:",
        ),
        breakage(
            layer="cluster",
            name="dns-on-one-node",
            title="CoreDNS has one replica",
            row="L2-14",
            host="",
            says="Ready replicas of CoreDNS",
            listed=True,
            reddens=("P2-07",),
            **kubectl(lab, f"{dns}=1", f"{dns}=2", "deployment/coredns"),
        ),
        breakage(
            layer="cluster",
            name="dns-forwards-to-itself",
            title="CoreDNS asks itself for names outside the cluster",
            row="L2-14",
            host="",
            says="forward.*127.0.0.1",
            listed=True,
            reddens=("P2-07",),
            **rewritten(
                lab,
                "dns-forwards-to-itself",
                "configmap/coredns",
                "kube-system",
                r"s|forward \. [^ ]*|forward . 127.0.0.1|",
            ),
        ),
        breakage(
            layer="cluster",
            name="dns-without-endpoints",
            title="the service of the cluster's DNS selects no pod",
            row="P2-01",
            host="",
            says="kube-system/kube-dns: none",
            reddens=("P2-07",),
            **kubectl(
                lab,
                '-n kube-system patch service kube-dns -p \'{"spec":{"selector":{"k8s-app":"defect"}}}\'',
                '-n kube-system patch service kube-dns -p \'{"spec":{"selector":{"k8s-app":"kube-dns"}}}\'',
                "service/kube-dns",
            ),
        ),
    ]
