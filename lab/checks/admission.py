"""Who stands between the platform and its API: webhooks, policies, APIs of others, queues (P2-12)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.checks.declared import KUBERNETES, NAMESPACES, Declared, is_kubernetes, others
from lab.checks.selection import Thing, is_matched
from lab.cluster.discovery import Resource
from lab.objects import Object, condition

_ADMISSION = ("admissionregistration.k8s.io", "v1")
WEBHOOKS = {
    "refuse": Resource(
        *_ADMISSION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", False
    ),
    "change": Resource(*_ADMISSION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", False),
}
"""By what a webhook can do with a request."""
POLICIES = Resource(*_ADMISSION, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", False)
BINDINGS = Resource(
    *_ADMISSION, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", False
)
API_SERVICES = Resource("apiregistration.k8s.io", "v1", "APIService", "apiservices", False)
_FLOW = ("flowcontrol.apiserver.k8s.io", "v1")
FLOWS = Resource(*_FLOW, "FlowSchema", "flowschemas", False)
LEVELS = Resource(*_FLOW, "PriorityLevelConfiguration", "prioritylevelconfigurations", False)
ENFORCE = "pod-security.kubernetes.io/enforce"
MANAGED = "kube-aggregator.kubernetes.io/automanaged"
"""Label of the APIServices that API servers make: for their own groups (`onstart`), for definitions."""

IN_SPACES = (
    *(("", "pods"), ("", "pods/status"), ("", "pods/binding"), ("", "pods/eviction"), ("", "configmaps")),
    *(
        ("", "events"),
        ("", "endpoints"),
        ("", "serviceaccounts/token"),
        ("discovery.k8s.io", "endpointslices"),
    ),
    *(("coordination.k8s.io", "leases"), ("apps", "replicasets"), ("apps", "deployments/status")),
)
"""What is made and changed in every namespace of the platform, whether there is one at this moment or not."""
LABELLED = (
    Resource("", "v1", "Pod", "pods", True),
    Resource("", "v1", "Service", "services", True),
    Resource("", "v1", "ConfigMap", "configmaps", True),
    Resource("", "v1", "Node", "nodes", False),
    Resource("apps", "v1", "Deployment", "deployments", True),
    Resource("apps", "v1", "DaemonSet", "daemonsets", True),
)
"""Kinds by whose labels a rule may choose. Discovery is not asked: a dead API of others keeps from it."""
BESIDE = (
    *(
        ("", "nodes"),
        ("", "nodes/status"),
        ("", "namespaces"),
        ("apiextensions.k8s.io", "customresourcedefinitions"),
    ),
    *(("certificates.k8s.io", "certificatesigningrequests"), ("authentication.k8s.io", "tokenreviews")),
    *(("authorization.k8s.io", "subjectaccessreviews"), ("rbac.authorization.k8s.io", "clusterrolebindings")),
)
"""The same of what is in no namespace."""
CALLERS = frozenset(
    {
        *("*", "system:masters", "system:nodes", "system:authenticated", "system:unauthenticated"),
        *("kubeadm:cluster-admins", "system:serviceaccounts"),
    }
)
"""Groups in which the platform's own programs call."""


def in_the_way(declared: Declared) -> list[str]:
    """A line for each stranger that can refuse, change or hold up what the platform asks of its API."""
    things = list(_things(declared))
    return [
        *_apis(declared),
        *_webhooks(declared, things),
        *_policies(declared, things),
        *_flows(declared),
        *_spaces(declared),
    ]


def _things(declared: Declared) -> Iterator[Thing]:
    """What the platform's programs ask about: what there is of it, and what they make all the time."""
    spaces = {item["metadata"]["name"]: item["metadata"] for item in declared.items(NAMESPACES)}
    labels = {name: _labels(spaces[name]) for name in declared.spaces if name in spaces}
    for name, of_space in labels.items():
        yield Thing("", "namespaces", labels=of_space)
        yield from (Thing(group, plural, name, of_space) for group, plural in IN_SPACES)
    yield from (Thing(group, plural) for group, plural in BESIDE)
    for kind in LABELLED:
        for item in declared.items(kind):
            space = item["metadata"].get("namespace", "")
            if space in labels or not space:
                yield Thing(kind.group, kind.plural, space, labels.get(space, ()), _labels(item["metadata"]))
    for group, plural in declared.definitions:
        yield from (Thing(group, plural, name, of_space) for name, of_space in labels.items())


def _labels(meta: Object) -> tuple[tuple[str, str], ...]:
    return tuple(sorted((meta.get("labels") or {}).items()))


def _webhooks(declared: Declared, things: Sequence[Thing]) -> Iterator[str]:
    for does, kind in WEBHOOKS.items():
        for name, item in declared.strange(kind):
            for hook in item.get("webhooks") or ():
                met = next((one for one in things if is_matched(hook, hook.get("rules") or (), one)), None)
                if met:
                    policy = hook.get("failurePolicy", "Fail")
                    silent = "; while it is silent all of them are refused" if policy == "Fail" else ""
                    yield f"{name}: webhook {hook['name']} may {does} what is asked about {met}{silent}"


def _policies(declared: Declared, things: Sequence[Thing]) -> Iterator[str]:
    """Policies that refuse; without a binding one does nothing."""
    policies = {item["metadata"]["name"]: item["spec"] for item in declared.items(POLICIES)}
    for name, item in declared.strange(BINDINGS):
        policy = policies.get(item["spec"].get("policyName", ""))
        if not policy or "Deny" not in (item["spec"].get("validationActions") or ()):
            continue
        narrowed, general = item["spec"].get("matchResources") or {}, policy.get("matchConstraints") or {}
        rules = general.get("resourceRules") or ()
        for one in things:
            if is_matched(general, rules, one) and is_matched(
                narrowed, narrowed.get("resourceRules") or rules, one
            ):
                yield f"{name}: policy {item['spec']['policyName']} may refuse what is asked about {one}"
                break


def _apis(declared: Declared) -> Iterator[str]:
    items = declared.items(API_SERVICES)
    own = {one["spec"].get("group", "") for one in items if MANAGED in (one["metadata"].get("labels") or {})}
    for name, item in declared.strange(API_SERVICES):
        service = item["spec"].get("service")
        if not service:
            continue
        where = f"service {service['namespace']}/{service['name']}"
        available = condition(item, "Available")
        if item["spec"].get("group", "") in own | declared.groups:
            yield f"{name}: takes requests for the platform's own kinds to {where}"
        elif available.get("status") != "True":
            why = available.get("message") or "nobody has asked it yet"
            yield f"{name}: {where} does not serve it ({why}); namespaces cannot be removed meanwhile"


def _flows(declared: Declared) -> Iterator[str]:
    levels = declared.items(LEVELS)
    own = sum(_shares(item) for item in levels if is_kubernetes(item["metadata"]))
    for kind, does in (
        (FLOWS, "decides which requests of the platform wait"),
        (LEVELS, "decides how many may wait"),
    ):
        for name, item in declared.strange(kind):
            strange = others(item["metadata"])
            if is_kubernetes(item["metadata"]):
                if strange:
                    yield f"{name}: was written by {strange}; it {does}"
            elif kind is LEVELS and _shares(item) >= max(own, 1):
                yield f"{name}: takes {_shares(item)} shares of the API servers, beside {own} of all others"
            elif kind is FLOWS and (whom := _caught(declared, item["spec"])):
                level = item["spec"].get("priorityLevelConfiguration", {}).get("name")
                yield f"{name}: sends requests of {whom} to priority level {level}"


def _shares(level: Object) -> int:
    return int((level["spec"].get("limited") or {}).get("nominalConcurrencyShares") or 0)


def _caught(declared: Declared, spec: Object) -> str:
    """Whom of the platform a FlowSchema is for; "" for nobody."""
    for rule in spec.get("rules") or ():
        for one in rule.get("subjects") or ():
            kind = one["kind"]
            said = one.get(kind[0].lower() + kind[1:]) or {}
            name, space = said.get("name", ""), said.get("namespace", "")
            if kind == "Group" and (name in CALLERS or name.rpartition(":")[2] in declared.spaces):
                return f"group {name}"
            if kind == "User" and (name == "*" or name.startswith(("system:", "kubernetes-"))):
                return f"user {name}"
            if kind == "ServiceAccount" and space in declared.spaces:
                return f"service account {space}/{name}"
    return ""


def _spaces(declared: Declared) -> Iterator[str]:
    """Kubernetes' own namespaces are privileged unless somebody labels them; P2-07 judges add-ons'."""
    for item in declared.items(NAMESPACES):
        meta = item["metadata"]
        level = (meta.get("labels") or {}).get(ENFORCE, "privileged")
        if meta["name"] in KUBERNETES and level != "privileged":
            yield f"Namespace/{meta['name']}: takes pods of level {level} alone (label {ENFORCE})"
