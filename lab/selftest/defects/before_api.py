"""Defects of strangers between the platform and its API: webhooks, a policy, a dead API, a queue, a label."""

from __future__ import annotations

import json
from functools import partial

from lab.inventory.models import Inventory
from lab.objects import Object
from lab.selftest.defect import Breakage, breakage
from lab.selftest.on_cluster import kubectl, made, stranger

ADMISSION = "admissionregistration.k8s.io/v1"
QUIET = {"matchLabels": {"kubernetes.io/metadata.name": "kube-public"}}
"""A namespace of the platform's in which nobody makes anything, so that nothing is held up."""
RULES = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}]

_before = partial(breakage, layer="cluster", row="P2-12", listed=True)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_webhooks(lab), *_policy(lab), *_others(lab)]


def _webhooks(lab: Inventory) -> list[Breakage]:
    def hooks(name: str, policy: str) -> Object:
        one = {
            "name": f"{name}.defect.example.com",
            "clientConfig": {"service": {"namespace": "default", "name": name}},
            "namespaceSelector": QUIET,
            "rules": RULES,
            "failurePolicy": policy,
            "timeoutSeconds": 1,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        return {"webhooks": [one]}

    return [
        _before(
            name="webhook-refuses",
            title="a webhook of others may refuse what the platform does, and its service is gone",
            reddens=("P2-09",),
            says="ValidatingWebhookConfiguration/defect-refuses: .*may refuse.*configmaps in kube-public;",
            **stranger(
                lab,
                ADMISSION,
                "ValidatingWebhookConfiguration",
                "defect-refuses",
                hooks("refuses", "Fail"),
            ),
        ),
        _before(
            name="webhook-changes",
            title="a webhook of others may change what the platform makes",
            reddens=("P2-09",),
            says="MutatingWebhookConfiguration/defect-changes: .*may change.*configmaps in kube-public",
            **stranger(
                lab,
                ADMISSION,
                "MutatingWebhookConfiguration",
                "defect-changes",
                hooks("changes", "Ignore"),
            ),
        ),
    ]


def _policy(lab: Inventory) -> list[Breakage]:
    name = "defect-policy"
    policy = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"namespaceSelector": QUIET, "resourceRules": RULES},
            "validations": [{"expression": "true"}],
        },
    }
    binding = {
        "apiVersion": ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    kinds = "validatingadmissionpolicybinding,validatingadmissionpolicy"
    return [
        _before(
            name="policy-refuses",
            title="a policy of others may refuse what the platform does",
            says=f"ValidatingAdmissionPolicyBinding/{name}: policy {name} may refuse",
            **made(
                lab, kinds, name, json.dumps({"apiVersion": "v1", "kind": "List", "items": [policy, binding]})
            ),
        )
    ]


def _others(lab: Inventory) -> list[Breakage]:
    dead = {
        "group": "defect.example.com",
        "version": "v1",
        "service": {"namespace": "default", "name": "defect-api"},
        "insecureSkipTLSVerify": True,
        "groupPriorityMinimum": 1,
        "versionPriority": 1,
    }
    caught = {
        "priorityLevelConfiguration": {"name": "catch-all"},
        # behind the one that catches whatever is left, so that nobody waits
        "matchingPrecedence": 9950,
        "rules": [
            {
                "subjects": [{"kind": "Group", "group": {"name": "system:nodes"}}],
                "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/defect"]}],
            }
        ],
    }
    label = "pod-security.kubernetes.io/enforce"
    return [
        _before(
            name="api-dead",
            title="the service of an API of others is gone",
            reddens=("P2-10", "P2-11"),
            alone=True,
            says="APIService/v1.defect.example.com: service default/defect-api does not serve it",
            **stranger(
                lab, "apiregistration.k8s.io/v1", "APIService", "v1.defect.example.com", {"spec": dead}
            ),
        ),
        _before(
            name="flow-strange",
            title="somebody decides how long requests of nodes wait",
            says="FlowSchema/defect-flow: sends requests of group system:nodes to priority level catch-all",
            **stranger(lab, "flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "defect-flow", {"spec": caught}),
        ),
        _before(
            name="namespace-restricted",
            title="a namespace of the platform refuses the pods of it",
            says="Namespace/kube-node-lease: takes pods of level restricted alone",
            **kubectl(
                lab,
                f"label namespace kube-node-lease {label}=restricted --overwrite",
                f"label namespace kube-node-lease {label}-",
                "namespace/kube-node-lease",
            ),
        ),
    ]
