"""Seeded defects of CoreDNS."""

from __future__ import annotations

from typing import Any

from lab.cluster.kubeadm import KUBECTL
from lab.inventory.addon_sections import pod_interfaces
from lab.inventory.models import Inventory
from lab.selftest.defect import KEPT, Defect, Slip, Told, breakage, filtered
from lab.selftest.on_cluster import PODS_NETWORK, kubectl, quoted, rewritten

STAR = "192.0.2.80"
"""What a record for all names gives: an address of nobody (RFC 5737)."""


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    last, bridge, to_pods = lab.workers[-1], pod_interfaces(lab)[0], f"ip daddr {lab.kubernetes.pod_subnet}"
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
        breakage(
            layer="services",
            name="names-swallowed",
            title="a record for all names below a searched domain swallows those of the internet",
            row="P3-30",
            host=lab.workers[0],
            says=rf"{lab.kubernetes.dns_domain}\. is {STAR}",
            alone=True,
            **_swallowing(lab),
        ),
        breakage(
            layer="services",
            name="names-cut-on-a-node",
            title="questions of pods on one worker do not reach the DNS of the cluster",
            row="P3-30",
            host=lab.workers[1],
            says="(neither yes nor no|without an answer).*(refused|timeout|misbehaving)",
            reddens=("L3-19", "L3-20"),
            # every question of the node's pods waits for its time-out
            alone=True,
            test="test_no_domain_that_pods_search_swallows_names",
            needs=(PODS_NETWORK,),
            # of pods that are here: CoreDNS itself may be, too, and others ask it
            **filtered(f"iifname {quoted(bridge)} {to_pods} udp dport 53 reject", hook="forward"),
        ),
        breakage(
            layer="services",
            name="questions-lost",
            title="a worker's firewall refuses every third question of its pods to the DNS",
            row="L3-19",
            host=last,
            says=f"failed questions of 100 from {last}: ",
            also=(Told("L3-20", r"failed questions: expected below 0\.1%; seen:\s+\d+ of \d+"),),
            # a resolver asks twice before it gives up
            **filtered("udp dport 53 numgen random mod 3 == 0 reject", hook="forward", name="names"),
        ),
    ]


def _swallowing(lab: Inventory) -> dict[str, Any]:
    """Damage and repair of CoreDNS, begun anew with such a record: names in which the outside's stand."""
    domain = lab.kubernetes.dns_domain
    record = (
        rf"\1template IN A {domain} {{\n"
        rf'\1   match "[.](com|io|net|org)[.]{domain}[.]$"\n'
        rf'\1   answer "{{{{ .Name }}}} 5 IN A {STAR}"\n'
        r"\1   fallthrough\n\1}"
    )
    changed = rewritten(
        lab, "names-swallowed", "configmap/coredns", "kube-system", rf"s/^\( *\)ready$/&\n{record}/"
    )
    anew = (
        f"{KUBECTL} -n kube-system delete pods -l k8s-app=kube-dns >/dev/null"
        f" && {KUBECTL} -n kube-system rollout status deployment coredns --timeout=90s >/dev/null"
    )
    mark = f"{KEPT}/names-swallowed.anew"
    return changed | {
        "damage": f"mkdir -p {KEPT} && touch {mark} && {changed['damage']} && {anew}",
        "repair": f"{changed['repair']} && {{ test ! -e {mark} || {{ {anew} && rm {mark}; }}; }}",
    }
