"""Defects of name resolution: what a DHCP client, a hypervisor or a hand leaves in a resolver's file."""

from __future__ import annotations

from functools import partial

from lab.inventory.models import Inventory
from lab.render.components import KUBELET_CONFIG
from lab.render.detected import POD_RESOLVER
from lab.selftest.defect import Breakage, breakage, edited

_resolver = partial(breakage, layer="node", row="L1-29")


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    worker, other = lab.workers[:2]
    return [
        _resolver(
            name="resolver-loop",
            title="the resolver is the machine itself, into which CoreDNS would loop",
            host=worker,
            says="127.0.0.53",
            **edited("resolver-loop", "/etc/resolv.conf", "s/^nameserver .*/nameserver 127.0.0.53/"),
        ),
        _resolver(
            name="resolver-empty",
            title="the machine has no name server",
            host=other,
            says="name servers.*at least one",
            **edited("resolver-empty", "/etc/resolv.conf", "/^nameserver/d"),
        ),
        _resolver(
            name="resolver-search",
            title="the balancer searches names in somebody else's domain",
            host=lab.balancer,
            says="search list.*stranger.example",
            **edited("resolver-search", "/etc/resolv.conf", "$a search stranger.example"),
        ),
        _resolver(
            name="resolver-of-pods",
            title="pods with the node's DNS ask another server than the inventory's",
            host=lab.masters[0],
            says="name servers of pods.*192.0.2.53",
            **edited("resolver-of-pods", POD_RESOLVER, "s/^nameserver .*/nameserver 192.0.2.53/"),
        ),
        _resolver(
            name="resolver-path",
            title="the kubelet takes another file than its neighbours for the resolver of pods",
            host=worker,
            says="the kubelet's resolvConf.*/run/systemd/resolve/resolv.conf",
            **edited(
                "resolver-path",
                KUBELET_CONFIG,
                "s|^resolvConf: .*|resolvConf: /run/systemd/resolve/resolv.conf|",
            ),
        ),
    ]
