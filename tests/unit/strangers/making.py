"""Objects of a fake cluster as their writers leave them."""

from __future__ import annotations

from typing import Any

from lab.objects import Object
from tests.fake_api import FakeApi

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def written(by: str, *fields: str) -> Object:
    """What the API server notes of a writer."""
    return {"manager": by, "operation": "Update", "fieldsV1": {f"f:{field}": {} for field in fields}}


def put(
    api: FakeApi,
    collection: str,
    name: str,
    space: str = "",
    *,
    by: str = "kubectl-create",
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    owners: tuple[Object, ...] = (),
    **content: Any,
) -> Object:
    """An object of a collection (`/apis/apps/v1/deployments`), written by one program; it is given back."""
    root, _, plural = collection.rpartition("/")
    inside = f"/namespaces/{space}" if space else ""
    meta: Object = {"name": name, "uid": f"{plural}/{space}/{name}", "labels": labels or {}}
    meta |= {"annotations": annotations or {}, "ownerReferences": list(owners)}
    meta |= {"creationTimestamp": "2026-01-01T00:00:00Z"} | ({"namespace": space} if space else {})
    meta["managedFields"] = [written(by, *(content or ("data",)))]
    item: Object = {"kind": KINDS[plural], "metadata": meta} | content
    api.objects[f"{root}{inside}/{plural}/{name}"] = item
    return item


KINDS = {
    "namespaces": "Namespace",
    "pods": "Pod",
    "configmaps": "ConfigMap",
    "secrets": "Secret",
    "services": "Service",
    "serviceaccounts": "ServiceAccount",
    "resourcequotas": "ResourceQuota",
    "persistentvolumes": "PersistentVolume",
    "persistentvolumeclaims": "PersistentVolumeClaim",
    "networkpolicies": "NetworkPolicy",
    "replicasets": "ReplicaSet",
    "deployments": "Deployment",
    "endpointslices": "EndpointSlice",
    "roles": "Role",
    "clusterroles": "ClusterRole",
    "rolebindings": "RoleBinding",
    "clusterrolebindings": "ClusterRoleBinding",
    "validatingwebhookconfigurations": "ValidatingWebhookConfiguration",
    "mutatingwebhookconfigurations": "MutatingWebhookConfiguration",
    "validatingadmissionpolicies": "ValidatingAdmissionPolicy",
    "validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
    "apiservices": "APIService",
    "flowschemas": "FlowSchema",
    "prioritylevelconfigurations": "PriorityLevelConfiguration",
    "certificatesigningrequests": "CertificateSigningRequest",
    "priorityclasses": "PriorityClass",
    "ingressclasses": "IngressClass",
    "storageclasses": "StorageClass",
    "poddisruptionbudgets": "PodDisruptionBudget",
}
"""Kinds by their names in paths."""
