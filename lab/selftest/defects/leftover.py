"""Defects of removal: objects that stayed in the cluster although the inventory names them no more."""

from __future__ import annotations

import json

from lab.addons.mark import LABEL
from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import made


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    left = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "left-over", "labels": {LABEL: "former"}},
        "data": {"of": "an add-on that the checkout no longer has"},
    }
    return [
        breakage(
            name="object-left-over",
            title="an add-on left the checkout, and an object of it stayed in the cluster",
            layer="cluster",
            row="P2-10",
            says="ConfigMap/default/left-over: of add-on former",
            **made(lab, "configmap", "left-over", json.dumps(left), "default"),
        )
    ]
