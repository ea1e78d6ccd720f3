"""Seeded defects of Flannel."""

from __future__ import annotations

from shlex import quote
from typing import Any

from addons.flannel.section import overlay
from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Defect, Slip, breakage, edited
from lab.selftest.on_cluster import PODS_NETWORK, kubectl, quoted


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
        Slip(
            name="flannel-evicted",
            title="a taint takes what every node needs from it",
            row="L0-22",
            host="",
            says="kube-flannel-ds",
            listed=True,
            file="addons/flannel/patch.yaml.j2",
            old="      tolerations: [{operator: Exists}]\n",
            new="",
        ),
        breakage(
            layer="cluster",
            name="flannel-on-one-node",
            title="Flannel does not run on every node",
            row="P2-07",
            host="",
            says="kube-flannel/kube-flannel-ds spec.template.spec.nodeSelector: .*added by kubectl-patch",
            settles=True,
            listed=True,
            **kubectl(
                lab,
                f"{flannel} {quote(selector % quoted(lab.workers[0]))}",
                f"{flannel} {quote(selector % 'null')}",
                "daemonset/kube-flannel-ds",
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
            touches=(f"routes of {link}",),
            stops=(PODS_NETWORK,),
            reddens=("P2-21",),
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
            **_narrowed("overlay-too-narrow", link, 1300),
        ),
        breakage(
            layer="node",
            name="overlay-mtu",
            title="the pod network's MTU is wrong",
            row="L1-25",
            host=worker,
            says=f"MTU of {link}.*1400",
            **_narrowed("overlay-mtu", link, 1400),
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
        breakage(
            layer="node",
            name="flannel-runs-another",
            title="a node's Flannel was started with another network of pods",
            row="P1-22",
            host=lab.masters[1],
            says="FLANNEL_NETWORK: 192.0.2.0/24, not ",
            **edited(
                "flannel-runs-another",
                "/run/flannel/subnet.env",
                "s|FLANNEL_NETWORK=.*|FLANNEL_NETWORK=192.0.2.0/24|",
            ),
        ),
    ]


def _narrowed(name: str, link: str, mtu: int) -> dict[str, Any]:
    """Damage and repair of a link that gets another MTU."""
    kept = f"{KEPT}/{name}"
    return {
        "damage": f"mkdir -p {KEPT} && cat /sys/class/net/{link}/mtu > {kept}"
        f" && ip link set {link} mtu {mtu}",
        "repair": f"test ! -e {kept} || {{ ip link set {link} mtu $(cat {kept}) && rm {kept}; }}",
        "touches": (f"MTU of {link}",),
    }
