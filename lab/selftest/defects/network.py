"""Defects of a host's network: its firewall, its links and ports, the balancer's servers."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, served

TABLE = "inet plumbline"
FIREWALL = "/etc/nftables.conf"
HAPROXY = "echo {} server kube-apiservers/{} | socat - /run/haproxy/admin.sock"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_firewall(lab), *_network(lab), *_balancer(lab)]


def _host(name: str, title: str, row: str, host: str, says: str, **fields: object) -> Breakage:
    return Breakage(name=name, title=title, layer="node", row=row, host=host, says=says, **fields)  # type: ignore[arg-type]


def _firewall(lab: Inventory) -> list[Breakage]:
    first, second, third = lab.masters[:3]
    worker = lab.workers[0]
    load = f"nft -f {FIREWALL}"
    handle = f"nft -a list chain {TABLE} input | sed -n '/dport 7472/s/.*handle //p'"
    return [
        _host(
            "firewall-off",
            "the firewall's table is not loaded",
            "L1-20",
            lab.balancer,
            "table inet plumbline.*loaded",
            damage=f"nft delete table {TABLE}",
            repair=load,
        ),
        _host(
            "firewall-open",
            "a rule by hand lets everybody at etcd's port",
            "L1-20",
            worker,
            "rules",
            damage=f"nft insert rule {TABLE} input tcp dport 2379 accept",
            repair=load,
        ),
        _host(
            "firewall-rule-missing",
            "a rule is missing",
            "L1-20",
            first,
            "rules",
            damage=f"nft delete rule {TABLE} input handle $({handle})",
            repair=load,
        ),
        _host(
            "firewall-policy",
            "what no rule names is let in",
            "L1-20",
            second,
            "rules",
            damage=f"nft chain {TABLE} input '{{ policy accept ; }}'",
            repair=load,
        ),
        _host(
            "firewall-wider-set",
            "a stranger's address counts as a master's",
            "L1-20",
            third,
            "rules",
            damage=f"nft add element {TABLE} masters '{{ 192.0.2.7 }}'",
            repair=load,
        ),
    ]


def _network(lab: Inventory) -> list[Breakage]:
    worker, other = lab.workers[:2]
    return [
        _host(
            "read-only-port",
            "something listens on the kubelet's read-only port",
            "L1-18",
            other,
            "10255/tcp",
            **served("read-only-port", 10255),
        ),
        _host(
            "etcd-on-a-worker",
            "a worker listens on etcd's port",
            "L1-18",
            worker,
            "2379/tcp",
            **served("etcd-on-a-worker", 2379),
        ),
        _host(
            "node-port-taken",
            "a program of the machine sits on a NodePort",
            "L1-17",
            worker,
            r"30080 \(socat\)",
            **served("node-port-taken", 30080),
        ),
    ]


def _balancer(lab: Inventory) -> list[Breakage]:
    name = lab.masters[2]
    return [
        _host(
            "balancer-lost-a-server",
            "an API server is out of the balancer",
            "L1-27",
            lab.balancer,
            f"servers of HAProxy.*{name}: MAINT",
            damage=HAPROXY.format("disable", name),
            repair=HAPROXY.format("enable", name),
        ),
        _host(
            "balancer-socket-open",
            "everybody may use HAProxy's admin socket",
            "L1-27",
            lab.balancer,
            "mode of /run/haproxy/admin.sock",
            damage="chmod 666 /run/haproxy/admin.sock",
            repair="chmod 660 /run/haproxy/admin.sock",
        ),
    ]
