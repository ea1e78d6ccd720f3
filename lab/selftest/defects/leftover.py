"""Defects of removal: objects that stayed in the cluster although the inventory names them no more."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from lab.addons.mark import LABEL
from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import made

FORMER = "former"
"""An add-on that the checkout no longer has."""
_left = partial(breakage, layer="cluster", row="P2-10", listed=True)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [
        _left(
            name="object-left-over",
            title="an add-on left the checkout, and an object of it stayed in the cluster",
            says=f"ConfigMap/default/left-over: of add-on {FORMER}",
            **made(
                lab, "configmap", "left-over", _item("ConfigMap", "left-over", data={"of": FORMER}), "default"
            ),
        ),
        _left(
            name="service-left-over",
            title="a service of a former add-on stayed beside those of the platform",
            says=f"Service/kube-system/left-service: of add-on {FORMER}",
            **made(
                lab,
                "service",
                "left-service",
                _item(
                    "Service", "left-service", spec={"type": "ExternalName", "externalName": "example.com"}
                ),
                "kube-system",
            ),
        ),
        _left(
            name="account-left-over",
            title="an account of a former add-on still has a token to ask for",
            says=f"ServiceAccount/default/left-account: of add-on {FORMER}",
            **made(lab, "serviceaccount", "left-account", _item("ServiceAccount", "left-account"), "default"),
        ),
        _left(
            name="role-left-over",
            title="rights of a former add-on for the whole cluster stayed",
            says=f"ClusterRole/left-role: of add-on {FORMER}",
            **made(lab, "clusterrole", "left-role", _item("ClusterRole", "left-role", rules=[], api=RBAC)),
        ),
    ]


RBAC = "rbac.authorization.k8s.io/v1"


def _item(kind: str, name: str, *, api: str = "v1", **fields: Any) -> str:
    """An object that carries our mark."""
    return json.dumps(
        {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": {LABEL: FORMER}}} | fields
    )
