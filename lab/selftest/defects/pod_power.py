"""Defects of pods of others that can take the machine that they run on."""

from __future__ import annotations

from functools import partial
from typing import Any

from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.bundle import pins
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import stranger

_power = partial(breakage, layer="cluster", row="P2-15", listed=True)
CONTAINER = "container defect"


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    first, second = lab.workers[:2]
    etc = [{"name": "etc", "hostPath": {"path": "/etc/kubernetes"}}]
    return [
        _power(
            name="pod-privileged",
            title="a pod of others is root of its machine",
            says=f"Pod/default/defect-root: {CONTAINER} is privileged",
            **_pod(lab, first, "defect-root", context={"privileged": True}),
        ),
        _power(
            name="pod-host-path",
            title="a pod of others reads the machine's keys",
            says="Pod/default/defect-keys: hostPath /etc/kubernetes: keys",
            **_pod(lab, second, "defect-keys", volumes=etc),
        ),
        _power(
            name="pod-host-network",
            title="a pod of others has its machine's network and processes",
            says="Pod/default/defect-host: hostPID: .*hostNetwork: ",
            **_pod(lab, second, "defect-host", hostNetwork=True, hostPID=True),
        ),
        _power(
            name="pod-critical",
            title="pods of the platform make room for a pod of others",
            says="Pod/default/defect-critical: priority system-node-critical: ",
            **_pod(lab, first, "defect-critical", priorityClassName="system-node-critical"),
        ),
        _power(
            name="pod-beside-etcd",
            title="a pod of others may take all memory beside etcd",
            says=f"Pod/default/defect-beside: runs on {lab.masters[1]} beside etcd",
            **_pod(lab, lab.masters[1], "defect-beside"),
        ),
        _power(
            name="volume-of-a-machine",
            title="a volume is a whole machine",
            says="PersistentVolume/defect-volume: is / of a machine",
            **stranger(
                lab,
                "v1",
                "PersistentVolume",
                "defect-volume",
                {
                    "spec": {
                        "capacity": {"storage": "1Mi"},
                        "accessModes": ["ReadOnlyMany"],
                        "hostPath": {"path": "/"},
                    }
                },
            ),
        ),
    ]


def _pod(
    lab: Inventory, node: str, name: str, *, context: Object | None = None, **spec: object
) -> dict[str, Any]:
    """Damage and repair of a pod of the default namespace on a node, which does nothing."""
    container: Object = {"name": "defect", "image": pins(lab).images["pause"], "imagePullPolicy": "Never"}
    container["securityContext"] = context or {}
    whole = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    return stranger(lab, "v1", "Pod", name, {"spec": whole}, "default")
