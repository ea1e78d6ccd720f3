"""By which rules a node leads connections to services: those of each mode of kube-proxy, as in the kernel."""

from __future__ import annotations

import re

from lab.checks.driver import Driver

RULES = {
    "iptables": "nft list table ip nat 2>/dev/null; iptables-legacy-save -t nat 2>/dev/null; true",
    "nftables": "nft list table ip kube-proxy 2>/dev/null; true",
}
"""The command that lists the rules of a mode. iptables writes to one of two places in the kernel."""


def service_rules(driver: Driver, host: str) -> list[str]:
    """The modes whose rules on a node lead to the API's own service, which every cluster has."""
    service = re.escape(str(driver.inventory.kubernetes.service_subnet[1]))
    return [
        mode for mode, command in RULES.items() if re.search(rf"\b{service}\b", driver.read(host, command))
    ]
