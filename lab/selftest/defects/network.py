"""Defects of a host's network: its firewall, its links and ports, the balancer's servers."""

from __future__ import annotations

import re
from shlex import quote

from lab.checks.balancer import SOCKET
from lab.inventory.models import Inventory
from lab.inventory.rules.ports import NODE_PORTS
from lab.render.firewall import FILE, TABLE, port_of
from lab.selftest.defect import Breakage, served

NODE_PORT = NODE_PORTS[80]
RULES = f"table {TABLE}"
HAPROXY = f"echo {{}} server kube-apiservers/{{}} | socat - {SOCKET}"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_firewall(lab), *_network(lab), *_balancer(lab), _reloading(lab), _proxying(lab)]


def _host(name: str, title: str, row: str, host: str, says: str, **fields: object) -> Breakage:
    return Breakage(name=name, title=title, layer="node", row=row, host=host, says=says, **fields)  # type: ignore[arg-type]


def _firewall(lab: Inventory) -> list[Breakage]:
    first, second, third = lab.masters[:3]
    worker = lab.workers[0]
    load = f"nft -f {FILE}"
    metrics, etcd = port_of(lab, "MetalLB's metrics"), port_of(lab, "etcd")
    handle = f"nft -a list chain {TABLE} input | sed -n '/dport {metrics}/s/.*handle //p'"
    return [
        _host(
            "firewall-off",
            "the firewall's table is not loaded",
            "L1-20",
            lab.balancer,
            f"table {TABLE}.*loaded",
            damage=f"nft delete table {TABLE}",
            repair=load,
            touches=(RULES,),
        ),
        _host(
            "firewall-open",
            "a rule by hand lets everybody at etcd's port",
            "L1-20",
            worker,
            rf"rules of the firewall.*\+ tcp dport {etcd} accept",
            damage=f"nft insert rule {TABLE} input tcp dport {etcd} accept",
            repair=load,
            touches=(RULES,),
        ),
        _host(
            "firewall-rule-missing",
            "a rule is missing",
            "L1-20",
            first,
            rf"rules of the firewall.*- .*dport.*{metrics}",
            damage=f"nft delete rule {TABLE} input handle $({handle})",
            repair=load,
            touches=(RULES,),
        ),
        _host(
            "firewall-policy",
            "what no rule names is let in",
            "L1-20",
            second,
            r"rules of the firewall.*- .*policy drop.*\+ .*policy accept",
            damage=f"nft chain {TABLE} input '{{ policy accept ; }}'",
            repair=load,
            touches=(RULES,),
        ),
        _host(
            "firewall-wider-set",
            "a stranger's address counts as a master's",
            "L1-20",
            third,
            r"rules of the firewall.*\+ .*192\.0\.2\.7",
            damage=f"nft add element {TABLE} masters '{{ 192.0.2.7 }}'",
            repair=load,
            touches=(RULES,),
        ),
    ]


def _network(lab: Inventory) -> list[Breakage]:
    worker, other = lab.workers[:2]
    read_only, etcd = port_of(lab, "the kubelet's read-only port"), port_of(lab, "etcd")
    return [
        _host(
            "read-only-port",
            "something listens on the kubelet's read-only port",
            "L1-18",
            other,
            f"{read_only}/tcp",
            reddens=("P1-15",),
            **served("read-only-port", read_only),
        ),
        _host(
            "etcd-on-a-worker",
            "a worker listens on etcd's port",
            "L1-18",
            worker,
            f"{etcd}/tcp",
            reddens=("P1-15",),
            **served("etcd-on-a-worker", etcd),
        ),
        _host(
            "node-port-taken",
            "a program of the machine sits on a NodePort",
            "L1-17",
            worker,
            rf"{NODE_PORT} \(socat\)",
            reddens=("P1-15",),
            **served("node-port-taken", NODE_PORT),
        ),
    ]


def _balancer(lab: Inventory) -> list[Breakage]:
    name = lab.masters[2]
    port = lab.kubernetes.api_port
    own, other = (lab.hosts[master].address for master in (name, lab.masters[0]))
    moved = f"set server kube-apiservers/{name} addr {{}} port {port}"
    server = f"server {name} of HAProxy"
    return [
        _host(
            "balancer-lost-a-server",
            "an API server is out of the balancer",
            "L1-27",
            lab.balancer,
            f"servers of HAProxy.*{name}: MAINT",
            damage=HAPROXY.format("disable", name),
            repair=HAPROXY.format("enable", name),
            touches=(server,),
            listed=True,
        ),
        _host(
            "haproxy-old-address",
            "HAProxy runs with an address of a server that its file no longer has",
            "L1-27",
            lab.balancer,
            rf"addresses of HAProxy's servers.*seen:.*{name}: {re.escape(str(other))}:{port}",
            damage=f"echo {quote(moved.format(other))} | socat - {SOCKET}",
            repair=f"echo {quote(moved.format(own))} | socat - {SOCKET}",
            touches=(server,),
            listed=True,
        ),
        _host(
            "balancer-socket-open",
            "everybody may use HAProxy's admin socket",
            "L1-27",
            lab.balancer,
            "mode of /run/haproxy/admin.sock",
            damage="chmod 666 /run/haproxy/admin.sock",
            repair="chmod 660 /run/haproxy/admin.sock",
            touches=(f"file {SOCKET}",),
            listed=True,
            reddens=("P1-11",),
        ),
    ]


def _reloading(lab: Inventory) -> Breakage:
    """A part of HAProxy's unit that is felt only when somebody has it read its file anew."""
    folder = "/run/systemd/system/haproxy.service.d"
    part = "[Service]\nExecReload=\nExecReload=/usr/bin/systemctl --no-block restart haproxy.service\n"
    return Breakage(
        name="reload-restarts",
        title="a reload of HAProxy restarts it, and ends every connection",
        layer="ha",
        row="L4-19",
        says="failed requests: expected none by a reload",
        at=lab.balancer,
        touches=("unit haproxy",),
        damage=f"mkdir -p {folder} && printf %s {quote(part)} > {folder}/50-defect.conf"
        " && systemctl daemon-reload",
        repair=f"rm -rf {folder} && systemctl daemon-reload",
    )


def _proxying(lab: Inventory) -> Breakage:
    """Rules of the mode that the lab has not, in a chain to which nothing leads."""
    service, chain = lab.kubernetes.service_subnet[1], "PLUMBLINE-DEFECT"
    if lab.kubernetes.proxy_mode == "iptables":
        rules = f"table ip kube-proxy {{\n chain defect {{\n  ip daddr {service} return\n }}\n}}\n"
        damage = f"printf %s {quote(rules)} | nft -f -"
        repair = "nft delete table ip kube-proxy 2>/dev/null || true"
    else:
        nat = "iptables -t nat"
        damage = f"{nat} -N {chain} && {nat} -A {chain} -d {service} -j RETURN"
        repair = f"{{ {nat} -F {chain} && {nat} -X {chain}; }} 2>/dev/null || true"
    return Breakage(
        name="proxy-rules-of-another-mode",
        title="rules of kube-proxy's other mode were left behind",
        layer="services",
        row="P3-20",
        host=lab.workers[0],
        says="modes whose rules lead to the API's service: expected .* alone.*iptables, nftables",
        damage=damage,
        repair=repair,
        touches=(RULES,),
    )
