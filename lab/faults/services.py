"""Service faults: reloads, restarts, and rules of kube-proxy that somebody removed."""

from __future__ import annotations

from lab.faults.kinds import ANY, BALANCER, NODES, Kind
from lab.faults.on_host import OnHost, always

KINDS: tuple[Kind, ...] = (
    OnHost(
        "haproxy-reload",
        "HAProxy reads its configuration anew",
        BALANCER,
        10,
        begin=always("systemctl reload haproxy"),
    ),
    OnHost(
        "haproxy-restart",
        "HAProxy is restarted, and its connections end",
        BALANCER,
        10,
        begin=always("systemctl restart haproxy"),
    ),
    OnHost(
        "firewall-reload",
        "the host's firewall is loaded anew",
        ANY,
        10,
        begin=always("systemctl reload nftables"),
    ),
    OnHost(
        "flush-proxy-rules",
        "kube-proxy's chains are emptied, its canaries removed",
        NODES,
        60,
        # kube-proxy looks for its canary chains, in all three tables, to notice that rules were flushed
        begin=always(
            "iptables -t nat -F KUBE-SERVICES && iptables -t nat -F KUBE-POSTROUTING && "
            "for table in mangle nat filter; do iptables -t $table -F KUBE-PROXY-CANARY && "
            "iptables -t $table -X KUBE-PROXY-CANARY || exit 1; done"
        ),
        needs="iptables -t nat -S KUBE-SERVICES",
        because="its kube-proxy does not use iptables",
    ),
)
