"""Seeded defects of what services get: who gives addresses, who may, who tells of it."""

from __future__ import annotations

import json
from shlex import quote
from typing import Any

from lab.checks.outcomes import Outcome
from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.selftest.defect import Breakage, Told, breakage
from lab.selftest.on_cluster import kubectl, made, rewritten

NAMESPACE = "metallb-system"
CONTROLLER = "one controller of MetalLB"
STRANGER = "192.0.2.10"
"""What the second load balancer gives, to everybody."""
NO_EVENTS = "s|^  - events$|  - events-of-nobody|"
"""Of a role as YAML."""
UNIT = "plumbline-defect-second-balancer"
REFUSAL = "nobody may keep a pool back"
POLICY = "validatingadmissionpolicy"


def given(lab: Inventory) -> list[Breakage]:
    """All of them, for a lab."""
    scale = f"-n {NAMESPACE} scale deployment controller --replicas"
    return [
        breakage(
            layer="services",
            name="second-load-balancer",
            title="another load balancer gives addresses to services of any class",
            row="L3-15",
            says=rf"address of a service of class example\.com/other.*{STRANGER}",
            at=lab.masters[0],
            needs=(CONTROLLER,),
            touches=("addresses of services of other classes",),
            **_second(),
        ),
        breakage(
            layer="services",
            name="speaker-may-not-tell",
            title="MetalLB's speakers have lost the right to write events",
            row="L3-01",
            says="event nodeAssigned of the service",
            needs=(CONTROLLER,),
            **rewritten(
                lab,
                "speaker-may-not-tell",
                "clusterrole/metallb-system:speaker",
                NAMESPACE,
                NO_EVENTS,
            ),
        ),
        breakage(
            layer="services",
            name="controller-may-not-tell",
            title="MetalLB's controller has lost the right to say why a service waits",
            row="L3-08",
            says="warnings about service taken: expected one that says why",
            also=tuple(
                Told(row, "warnings about service same-port: expected one that says why")
                for row in ("L3-11", "L3-12")
            ),
            needs=(CONTROLLER,),
            **rewritten(
                lab,
                "controller-may-not-tell",
                "clusterrole/metallb-system:controller",
                NAMESPACE,
                NO_EVENTS,
            ),
        ),
        breakage(
            layer="services",
            name="controller-twice",
            title="two controllers of MetalLB give addresses at the same time",
            row="L3-13",
            says="controllers of MetalLB: expected 1; seen: 2",
            stops=(CONTROLLER,),
            reddens=("L3-01", "L3-03", "L3-05", "L3-06", "L3-17", "L3-18"),
            **kubectl(lab, f"{scale}=2", f"{scale}=1", "deployment/controller"),
        ),
        breakage(
            layer="services",
            name="pools-may-not-be-kept-back",
            title="somebody's policy refuses pools that are handed out on request",
            row="L3-10",
            says=REFUSAL,
            # the checks cannot make the pool with which they look
            outcome=Outcome.COULD_NOT_TELL,
            also=tuple(Told(row, REFUSAL) for row in ("L3-07", "L3-09", "L3-14")),
            **made(lab, f"{POLICY},{POLICY}binding", "defect", _policy()),
        ),
    ]


def _second() -> dict[str, Any]:
    """Damage and repair of a program that gives an address to every service that names a class."""
    named = (
        f"{KUBECTL} get services -A -o jsonpath="
        """'{range .items[?(@.spec.loadBalancerClass)]}{.metadata.namespace} {.metadata.name}{"\\n"}{end}'"""
    )
    status = json.dumps({"status": {"loadBalancer": {"ingress": [{"ip": STRANGER}]}}})
    give = f"{KUBECTL} -n $space patch service $name --subresource=status --type merge -p {quote(status)}"
    loop = f"while sleep 1; do {named} | while read -r space name; do {give}; done; done"
    return {
        # systemd would take a dollar sign for a variable of its own
        "damage": f"systemd-run --quiet --collect --unit={UNIT} sh -c {quote(loop.replace('$', '$$'))}",
        "repair": f"systemctl stop {UNIT} 2>/dev/null || true",
    }


def _policy() -> str:
    """A policy of the API that refuses new pools with `autoAssign: false`, in force everywhere."""
    rule = {
        "apiGroups": ["metallb.io"],
        "apiVersions": ["*"],
        "operations": ["CREATE"],
        "resources": ["ipaddresspools"],
    }
    group = "admissionregistration.k8s.io/v1"
    kept = "!has(object.spec.autoAssign) || object.spec.autoAssign"
    policy = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "defect"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": kept, "message": REFUSAL}],
        },
    }
    binding = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "defect"},
        "spec": {"policyName": "defect", "validationActions": ["Deny"]},
    }
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
