"""Seeded defects of what Prometheus reaches on machines, and of what it makes of it."""

from __future__ import annotations

from addons.prometheus import defects_of_metrics
from lab.inventory.models import Inventory
from lab.selftest.defect import Defect, Slip, breakage, edited

BALANCER = "/etc/haproxy/haproxy.cfg"
BEYOND, NOBODYS = "plumbline-defect-beyond", "192.0.2.77"
"""A unit, and an address of nobody (RFC 5737)."""


def defects(lab: Inventory) -> list[Defect]:
    """All of them, for the hosts of a lab."""
    worker, other = lab.workers[:2]
    unanswering = edited("balancer-tells-nothing", BALANCER, "s|path /metrics|path /nothing|")
    return [
        breakage(
            layer="node",
            name="relay-stopped",
            title="a worker's relay to kube-proxy's metrics was stopped",
            row="P1-33",
            host=worker,
            says=":10249/metrics.*ConnectionRefusedError|:10249/metrics.*refused",
            reddens=("L1-14", "L1-17", "P1-31"),
            damage="systemctl stop metrics-relay@10249.socket",
            repair="systemctl start metrics-relay@10249.socket",
            touches=("unit metrics-relay@10249.socket",),
            settles=True,
        ),
        breakage(
            layer="node",
            name="balancer-tells-nothing",
            title="HAProxy's counters are not where Prometheus looks",
            row="P1-33",
            host=lab.balancer,
            says=":8404/metrics.*404",
            reddens=("P1-01",),
            damage=f"{unanswering['damage']} && systemctl reload haproxy",
            repair=f"{unanswering['repair']} && systemctl reload haproxy",
            touches=unanswering["touches"],
        ),
        breakage(
            layer="node",
            name="metrics-beyond-loopback",
            title="kube-proxy's metrics are served on one more address",
            row="P1-34",
            host=other,
            says=f"{NOBODYS}:10249 .socat.",
            reddens=("P1-15",),
            damage=f"ip address add {NOBODYS}/32 dev lo && systemd-run --quiet --collect --unit={BEYOND}"
            f" socat TCP-LISTEN:10249,bind={NOBODYS},fork,reuseaddr TCP:127.0.0.1:10249"
            f" && for i in $(seq 50); do ss -Hlnt src {NOBODYS} | grep -q . && exit 0; sleep 0.1; done"
            "; exit 1",
            repair=f"systemctl stop {BEYOND} 2>/dev/null; ip address del {NOBODYS}/32 dev lo 2>/dev/null"
            " || true",
            touches=("port 10249", "addresses of lo"),
        ),
        Slip(
            name="controllers-everywhere",
            title="the controller manager is told to serve its metrics on every address",
            row="P0-01",
            host="",
            says="documents of kubeadm that move metrics.*bind-address",
            file="templates/kubeadm/cluster.yaml.j2",
            old="    - {name: node-cidr-mask-size,",
            new="    - {name: bind-address, value: 0.0.0.0}\n    - {name: node-cidr-mask-size,",
        ),
        breakage(
            layer="node",
            name="metrics-open",
            title="the firewall of a master lets everybody at etcd's metrics",
            row="P1-35",
            host=lab.masters[2],
            says="2381.*open",
            reddens=("L1-20",),
            damage="nft insert rule inet plumbline input tcp dport 2381 accept",
            repair="systemctl reload nftables",
            touches=("rules of inet plumbline",),
        ),
        *defects_of_metrics.defects(lab),
    ]
