"""Whether an add-on's objects fit what its addon.yaml says, and the API, before any of them is applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lab.addons import AddOn
from lab.errors import InputError
from lab.objects import Object, title

CRD = "CustomResourceDefinition"
BUILT_IN = frozenset(
    f"{group}.k8s.io"
    for group in (
        *("admissionregistration", "apiextensions", "apiregistration", "certificates", "coordination"),
        *("discovery", "events", "flowcontrol.apiserver", "networking", "node", "rbac.authorization"),
        *("resource", "scheduling", "storage"),
    )
) | {"", "apps", "autoscaling", "batch", "policy"}
"""The API groups that every API server of Kubernetes 1.31 serves by itself."""
CLUSTER_SCOPED = frozenset(
    {
        *("APIService", "CSIDriver", "CSINode", "CertificateSigningRequest", "ClusterRole"),
        *("ClusterRoleBinding", "ClusterTrustBundle", CRD, "DeviceClass", "FlowSchema", "IPAddress"),
        *("IngressClass", "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume"),
        *("PriorityClass", "PriorityLevelConfiguration", "RuntimeClass", "ServiceCIDR", "StorageClass"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
        *("ValidatingWebhookConfiguration", "VolumeAttachment", "VolumeAttributesClass"),
    }
)
"""Kinds of these groups that are in no namespace (`kubectl api-resources --namespaced=false` of 1.31)."""


def check(addon: AddOn, items: Sequence[Object]) -> None:
    """Raises `InputError` with all that is wrong with an add-on's objects, one line each.

    Each stands once, in one of the add-on's namespaces or in none, as its kind wants; what the build waits
    for by name is among them. Of a kind that another add-on defines the API decides.
    """
    place = f"addons/{addon.folder.name}"
    problems = [f"{place}: {problem}" for problem in (*_twice(items), *_misplaced(addon, items))]
    there = {title(item).lower() for item in items}
    problems += [
        f"{place}/addon.yaml: ready: {name}: no object of it has this kind, namespace and name"
        for name in addon.ready
        if name not in there
    ]
    if problems:
        raise InputError("\n".join(problems), next_step=f"edit addon.yaml or the templates of {place}")


def _twice(items: Sequence[Object]) -> Iterator[str]:
    counted = Counter(map(title, items))
    yield from (f"{name}: stands {count} times; remove one" for name, count in counted.items() if count > 1)


def _misplaced(addon: AddOn, items: Sequence[Object]) -> Iterator[str]:
    specs = [item.get("spec", {}) for item in items if item["kind"] == CRD]
    own = {spec.get("names", {}).get("kind"): spec.get("scope") == "Namespaced" for spec in specs}
    for item in items:
        kind, space = item["kind"], item["metadata"].get("namespace", "")
        group = item["apiVersion"].rpartition("/")[0]
        namespaced = kind not in CLUSTER_SCOPED if group in BUILT_IN else own.get(kind)
        if namespaced and not space:
            yield f"{title(item)}: metadata.namespace is missing; write {' or '.join(addon.namespaces)}"
        elif namespaced is False and space:
            yield f"{title(item)}: metadata.namespace: a {kind} is in none; remove it"
        elif space and space not in addon.namespaces:
            named = ", ".join(addon.namespaces)
            yield f"{title(item)}: is in none of its namespaces ({named}); addon.yaml must name {space}"
