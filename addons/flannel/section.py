"""Flannel in the inventory: a VXLAN between all nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pydantic import Field

from lab.inventory.addon_sections import Section
from lab.inventory.models import Inventory
from lab.inventory.sections import Model
from lab.inventory.tested import version_field
from lab.inventory.types import Port, VersionV, Whole


class Flannel(Model):
    """The pod network."""

    version: VersionV = version_field("flannel", "Flannel version.")
    # the interface is called flannel.VNI, and Linux takes 15 characters of a name
    vni: Whole = Field(1, ge=1, le=9_999_999, description="VXLAN network identifier.")
    port: Port = Field(8472, description="UDP port of the VXLAN.")


def overlay(inventory: Inventory) -> str:
    """A node's end of the VXLAN."""
    return f"flannel.{inventory.section(Flannel).vni}"


def files(inventory: Inventory) -> dict[str, str]:
    """The files of Flannel's ConfigMap by name: its network, and the chain of CNI plugins."""
    settings = inventory.section(Flannel)
    network = {
        "Network": str(inventory.kubernetes.pod_subnet),
        "SubnetLen": inventory.kubernetes.node_mask,
        "EnableNFTables": False,
        "Backend": {"Type": "vxlan", "VNI": settings.vni, "Port": settings.port},
    }
    chain = {
        "name": "cbr0",
        # the plugin built from Go modules (v0.9.1) knows nothing newer; newer plugins know it too
        "cniVersion": "0.3.1",
        "plugins": [
            {"type": "flannel", "delegate": {"hairpinMode": True, "isDefaultGateway": True}},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }
    return {"net-conf.json": _json(network), "cni-conf.json": _json(chain)}


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _values(inventory: Inventory, _: Mapping[str, str]) -> dict[str, Any]:
    texts = files(inventory)
    # flanneld and its installer read these files once, so a changed file must change the pods
    return {"files": texts, "digest": sha256("".join(texts.values()).encode()).hexdigest()[:16]}


SECTION = Section(
    model=Flannel,
    presence="default",
    values=_values,
    pod_interfaces=lambda inventory: ("cni0", overlay(inventory)),
)
