"""Defects of what nobody declared in the platform's places, and of claims to what is the platform's alone."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.bundle import pins
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import made, stranger

NOBODY = "192.0.2.9"
"""An address of nobody (RFC 5737)."""
PORT = 9999

_strange = partial(breakage, layer="cluster", row="P2-11", listed=True)
_claim = partial(breakage, layer="cluster", row="P2-16", listed=True)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_places(lab), *_claims(lab)]


def _places(lab: Inventory) -> list[Breakage]:
    labels = {"app": "defect"}
    idle = {
        "replicas": 0,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "defect", "image": pins(lab).images["pause"]}]},
        },
    }
    return [
        _strange(
            name="network-policy-strange",
            title="somebody cuts pods of the platform off",
            says="NetworkPolicy/kube-system/defect-cut: decides whom pods of the platform reach",
            **stranger(
                lab,
                "networking.k8s.io/v1",
                "NetworkPolicy",
                "defect-cut",
                # it fits no pod, so that nothing is cut where somebody enforces it
                {"spec": {"podSelector": {"matchLabels": labels}, "policyTypes": ["Ingress"]}},
                "kube-system",
            ),
        ),
        _strange(
            name="quota-strange",
            title="somebody limits what the platform may start",
            says="ResourceQuota/kube-public/defect-quota: may keep pods of the platform from starting",
            **stranger(
                lab, "v1", "ResourceQuota", "defect-quota", {"spec": {"hard": {"pods": "0"}}}, "kube-public"
            ),
        ),
        _strange(
            name="limits-strange",
            title="somebody changes pods of the platform when they start",
            says="LimitRange/kube-node-lease/defect-limits: changes or refuses",
            **stranger(
                lab,
                "v1",
                "LimitRange",
                "defect-limits",
                {"spec": {"limits": [{"type": "Container", "default": {"memory": "16Mi"}}]}},
                "kube-node-lease",
            ),
        ),
        _strange(
            name="workload-strange",
            title="somebody keeps a workload among the platform's own",
            says="Deployment/kube-system/defect-idle: runs among the platform's own",
            **stranger(lab, "apps/v1", "Deployment", "defect-idle", {"spec": idle}, "kube-system"),
        ),
        _strange(
            name="account-strange",
            title="a service account that nobody declared",
            says="ServiceAccount/kube-system/defect-account: pods may run under it",
            **stranger(lab, "v1", "ServiceAccount", "defect-account", {}, "kube-system"),
        ),
    ]


def _claims(lab: Inventory) -> list[Breakage]:
    balancer = str(lab.hosts[lab.balancer].address)
    slice_of_dns: Object = {
        "metadata": {"labels": {"kubernetes.io/service-name": "kube-dns"}},
        "addressType": "IPv4",
        # nobody is sent there, since it is not ready
        "endpoints": [{"addresses": [NOBODY], "conditions": {"ready": False}}],
        "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}],
    }
    external = {"externalIPs": [balancer], "ports": [{"port": PORT}]}
    first: Object = {
        "metadata": {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
        "spec": {"controller": "example.com/defect"},
    }
    return [
        _claim(
            name="address-claimed",
            title="a service has every node take the balancer's address",
            says=f"Service/default/defect-claim: takes {balancer} on every node, which is {lab.balancer}",
            **stranger(lab, "v1", "Service", "defect-claim", {"spec": external}, "default"),
        ),
        _claim(
            name="endpoint-strange",
            title="a stranger stands behind the service of the DNS",
            says="EndpointSlice/kube-system/defect-slice: leads clients of service kube-system/kube-dns",
            **stranger(
                lab, "discovery.k8s.io/v1", "EndpointSlice", "defect-slice", slice_of_dns, "kube-system"
            ),
        ),
        _claim(
            name="ingress-class-second",
            title="there are two ingress classes for whoever names none",
            says="IngressClass/defect-class: is a second default",
            **stranger(lab, "networking.k8s.io/v1", "IngressClass", "defect-class", first),
        ),
        _claim(
            name="priority-of-all",
            title="all new pods get another priority",
            says="PriorityClass/defect-priority: is the priority .7. of all new pods",
            **stranger(
                lab,
                "scheduling.k8s.io/v1",
                "PriorityClass",
                "defect-priority",
                {"value": 7, "globalDefault": True, "preemptionPolicy": "Never"},
            ),
        ),
        _claim(
            name="drain-blocked",
            title="a budget lets no pod go, so that its machine is never drained",
            says="PodDisruptionBudget/default/defect-held: lets none of its 1 pods go",
            **_held(lab),
        ),
    ]


def _held(lab: Inventory) -> dict[str, Any]:
    labels = {"app": "defect-held"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "defect-held", "labels": labels},
        "spec": {
            "nodeName": lab.workers[0],
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {"name": "defect", "image": pins(lab).images["pause"], "imagePullPolicy": "Never"}
            ],
        },
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "defect-held"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }
    both = json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, budget]})
    return made(lab, "pod,poddisruptionbudget", "defect-held", both, "default")
