"""The objects that checks make: echo servers on every node or a few of them, and services before them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.objects import Object

HTTP, UDP = 8080, 8081
"""Ports of the probe image's echo servers."""

ENDING_SECONDS = 5
"""How long an ending pod goes on answering: rules of services are written within a second or two."""


def _pod(app: str, image: str, *, everywhere: bool) -> Object:
    fields = {"POD_NAME": "metadata.name", "NODE_NAME": "spec.nodeName", "POD_IP": "status.podIP"}
    spec: Object = {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {
                "name": "probe",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "env": [
                    {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                    for name, path in fields.items()
                ],
                "ports": [
                    {"name": "http", "containerPort": HTTP},
                    {"name": "udp", "containerPort": UDP, "protocol": "UDP"},
                ],
                "readinessProbe": {"httpGet": {"path": "/healthz", "port": HTTP}, "periodSeconds": 1},
                "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}},
            }
        ],
    }
    if everywhere:
        spec["tolerations"] = [{"operator": "Exists"}]
    else:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": {"app": app}},
            }
        ]
    return {"metadata": {"labels": {"app": app}}, "spec": spec}


def daemonset(app: str, image: str) -> Object:
    """An echo server on every node, masters included."""
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": app},
        "spec": {
            "selector": {"matchLabels": {"app": app}},
            "template": _pod(app, image, everywhere=True),
        },
    }


def deployment(app: str, image: str, replicas: int) -> Object:
    """Echo servers spread over the workers."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": app}},
            "template": _pod(app, image, everywhere=False),
        },
    }


def drain_safe(app: str, image: str, replicas: int) -> tuple[Object, Object]:
    """A deployment that a drain does not hurt, and its disruption budget.

    Replicas stand on different nodes as long as there are any; a pod that is to end goes on answering until
    every kube-proxy has heard of it, and only then does its server stop; one pod at a time may be evicted.
    """
    item = deployment(app, image, replicas)
    pod = item["spec"]["template"]["spec"]
    pod["terminationGracePeriodSeconds"] = ENDING_SECONDS + 10
    pod["containers"][0]["lifecycle"] = {"preStop": {"sleep": {"seconds": ENDING_SECONDS}}}
    for toleration in ("not-ready", "unreachable"):
        pod.setdefault("tolerations", []).append(
            {
                "key": f"node.kubernetes.io/{toleration}",
                "operator": "Exists",
                "effect": "NoExecute",
                "tolerationSeconds": 5,
            }
        )
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": app},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": app}}},
    }
    return item, budget


def service(name: str, app: str, *, kind: str = "LoadBalancer", port: int = 80, **spec: Any) -> Object:
    """A service before the echo servers of an app; `spec` overrides fields of it."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": kind,
            "selector": {"app": app},
            "ports": [{"name": "http", "port": port, "targetPort": HTTP}],
            **spec,
        },
    }


def ingress(name: str, hosts: Mapping[str, Mapping[str, str]]) -> Object:
    """Services by path (a prefix) by host name, on the default ingress class."""

    def path(prefix: str, target: str) -> Object:
        backend = {"service": {"name": target, "port": {"name": "http"}}}
        return {"path": prefix, "pathType": "Prefix", "backend": backend}

    rules = [
        {"host": host, "http": {"paths": [path(prefix, target) for prefix, target in paths.items()]}}
        for host, paths in hosts.items()
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {"rules": rules},
    }


def address_of(item: Object | None) -> str:
    """The address a load balancer gave a service, "" while it has none."""
    ingress = ((item or {}).get("status", {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return str(ingress[0].get("ip", ""))
