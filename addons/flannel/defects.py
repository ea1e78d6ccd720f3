"""Seeded defects of Flannel."""

from __future__ import annotations

from shlex import quote

from addons.flannel.section import overlay
from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Defect, Slip, breakage, edited
from lab.selftest.on_cluster import kubectl, quoted


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    worker, other = lab.workers[:2]
    link, routes = overlay(lab), f"{KEPT}/routes"
    flannel = "-n kube-flannel patch daemonset kube-flannel-ds --type merge -p"
    selector = '{"spec":{"template":{"spec":{"nodeSelector":{"kubernetes.io/hostname":%s}}}}}'
    return [
        Slip(
            name="flannel-other-network",
            title="Flannel's network is not the pod subnet",
            row="L0-13",
            host="",
            says="Network",
            file="addons/flannel/section.py",
            old='"Network": str(',
            new='"Network": "10.0.0.0/16" or str(',
        ),
        breakage(
            layer="cluster",
            name="flannel-on-one-node",
            title="Flannel does not run on every node",
            row="L2-08",
            host="",
            says="kube-flannel/kube-flannel-ds: 1 of",
            settles=True,
            **kubectl(
                lab,
                f"{flannel} {quote(selector % quoted(lab.workers[0]))}",
                f"{flannel} {quote(selector % 'null')}",
            ),
        ),
        breakage(
            layer="cluster",
            name="routes-lost",
            title="a node lost its routes to the other nodes' pods",
            row="L2-10",
            host="",
            says=f"{worker} ->",
            at=worker,
            damage=f"mkdir -p {KEPT} && ip -4 route show dev {link} | grep via > {routes}"
            f" && while read -r route; do ip route del $route dev {link}; done < {routes}",
            repair=f"test ! -e {routes} || while read -r route; do ip route replace $route dev {link};"
            f" done < {routes}; rm -f {routes}",
        ),
        breakage(
            layer="cluster",
            name="overlay-too-narrow",
            title="full packets do not fit into the overlay",
            row="L2-13",
            host=other,
            says=f"1400 bytes from {other}",
            damage=f"ip link set {link} mtu 1300",
            repair=f"ip link set {link} mtu 1450",
        ),
        breakage(
            layer="node",
            name="overlay-mtu",
            title="the pod network's MTU is wrong",
            row="L1-25",
            host=worker,
            says=f"MTU of {link}.*1400",
            damage=f"ip link set {link} mtu 1400",
            repair=f"ip link set {link} mtu 1450",
        ),
        breakage(
            layer="node",
            name="pod-mtu",
            title="new pods would get another MTU than the overlay has",
            row="L1-25",
            host=lab.masters[2],
            says="FLANNEL_MTU.*1500",
            **edited("pod-mtu", "/run/flannel/subnet.env", "s/FLANNEL_MTU=.*/FLANNEL_MTU=1500/"),
        ),
    ]
