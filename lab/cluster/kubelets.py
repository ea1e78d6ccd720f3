"""The kubelets' settings in the cluster: the ConfigMap that nodes take them from when they join."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.cluster.drift import Drift
from lab.objects import Object
from lab.own_yaml import as_kubernetes, loads

CONFIGMAP = "/api/v1/namespaces/kube-system/configmaps/kubelet-config"
NAME = {"name": "kubelet-config", "namespace": "kube-system"}
TITLE = "ConfigMap/kube-system/kubelet-config"
ABSENT = Drift(TITLE, "", "there", "does not exist")


def held(live: Object) -> dict[str, Any]:
    """The settings in the living ConfigMap (a KubeletConfiguration)."""
    return loads(live["data"].get("kubelet", "")) or {}


def configuration(live: Object, settings: Mapping[str, Any]) -> Object | None:
    """The ConfigMap with our `settings` among those of kubeadm; None when they are in it already."""
    there = held(live)
    merged = there | dict(settings)
    if merged == there:
        return None
    data = {"kubelet": as_kubernetes(merged)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": NAME, "data": data}


def drift(live: Object, settings: Mapping[str, Any]) -> list[Drift]:
    """Our settings that the living ConfigMap has otherwise."""
    there = held(live)
    return [
        Drift(TITLE, f"data.kubelet.{key}", str(value), str(there.get(key, "nothing")))
        for key, value in settings.items()
        if there.get(key) != value
    ]
