"""What Flannel runs with: it reads its ConfigMap once, and what it made and wrote then tells of it."""

from __future__ import annotations

import json

from addons.flannel.section import Flannel
from lab.checks.configured import unlike
from lab.inventory.models import Inventory


def differences(inventory: Inventory, host: str, link: str, subnet: str) -> list[str]:
    """One line for each value that is not the declared one.

    `link` is what `ip -d -j link show` tells of the overlay, `subnet` the text of Flannel's subnet.env.
    """
    settings = inventory.section(Flannel)
    vxlan = {"id": settings.vni, "port": settings.port, "local": str(inventory.hosts[host].address)}
    held = json.loads(link)[0].get("linkinfo", {}).get("info_data", {})
    written = {"FLANNEL_NETWORK": str(inventory.kubernetes.pod_subnet), "FLANNEL_IPMASQ": "true"}
    lines = dict(line.partition("=")[::2] for line in subnet.splitlines())
    return [*unlike({"vxlan": vxlan}, {"vxlan": held}), *unlike(written, lines)]
