"""Defects of access inside the cluster: bindings, edited roles, tokens, certificates of nobody."""

from __future__ import annotations

import json
from functools import partial
from shlex import quote
from typing import Any

from lab.cluster.kubeadm import KUBECTL
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.selftest.defect import KEPT, Breakage, breakage
from lab.selftest.on_cluster import stranger

RBAC = "rbac.authorization.k8s.io"
SPACE = "kube-system"
REQUEST = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "CertificateSigningRequest",
    "metadata": {"name": "defect-client"},
    "spec": {
        "request": "REQUEST",
        "signerName": "kubernetes.io/kube-apiserver-client",
        "expirationSeconds": 600,
        "usages": ["client auth"],
    },
}

_right = partial(breakage, layer="cluster", row="P2-13", listed=True)
_secret = partial(breakage, layer="cluster", row="P2-14", listed=True)


def defects(lab: Inventory) -> list[Breakage]:
    """All of them, for the hosts of a lab."""
    return [*_bindings(lab), *_edited(lab), *_tokens(lab), _certificate(lab)]


def _binding(kind: str, role: str, *subjects: Object) -> Object:
    return {"roleRef": {"apiGroup": RBAC, "kind": kind, "name": role}, "subjects": list(subjects)}


def _bindings(lab: Inventory) -> list[Breakage]:
    version = f"{RBAC}/v1"
    account = {"kind": "ServiceAccount", "namespace": "default", "name": "default"}
    everybody = {"kind": "Group", "apiGroup": RBAC, "name": "system:authenticated"}
    nobody = {"kind": "User", "apiGroup": RBAC, "name": "system:anonymous"}
    return [
        _right(
            name="cluster-admin-strange",
            title="every pod of the default namespace is cluster-admin",
            says="ClusterRoleBinding/defect-admin: gives ServiceAccount default/default .*does everything",
            **stranger(
                lab,
                version,
                "ClusterRoleBinding",
                "defect-admin",
                _binding("ClusterRole", "cluster-admin", account),
            ),
        ),
        _right(
            name="rights-of-everybody",
            title="whoever the API knows may write what the platform has",
            says="ClusterRoleBinding/defect-everybody: gives Group system:authenticated .*edit: ",
            **stranger(
                lab,
                version,
                "ClusterRoleBinding",
                "defect-everybody",
                _binding("ClusterRole", "edit", everybody),
            ),
        ),
        _right(
            name="rights-of-nobody",
            title="whoever has no name may look into a namespace",
            says="RoleBinding/default/defect-nobody: gives User system:anonymous .*no name",
            **stranger(
                lab,
                version,
                "RoleBinding",
                "defect-nobody",
                _binding("ClusterRole", "view", nobody),
                "default",
            ),
        ),
        _right(
            name="binding-in-the-platform",
            title="somebody may change objects of the platform's namespace",
            says=f"RoleBinding/{SPACE}/defect-binding: gives ServiceAccount default/default .*in {SPACE}",
            **stranger(
                lab,
                version,
                "RoleBinding",
                "defect-binding",
                _binding("ClusterRole", "admin", account),
                SPACE,
            ),
        ),
    ]


def _edited(lab: Inventory) -> list[Breakage]:
    return [
        _right(
            name="own-binding-edited",
            title="a binding of Kubernetes' own is for somebody else as well",
            says="ClusterRoleBinding/system:monitoring: is of Kubernetes' own, .*by kubectl-patch .subjects",
            **_patched(
                lab,
                "clusterrolebinding/system:monitoring",
                "/subjects/-",
                {"kind": "Group", "apiGroup": RBAC, "name": "defect"},
            ),
        ),
        _right(
            name="own-role-edited",
            title="a role of Kubernetes' own may do more than Kubernetes gave it",
            says="ClusterRole/system:monitoring: is of Kubernetes' own, .*written by kubectl-patch .rules",
            **_patched(
                lab,
                "clusterrole/system:monitoring",
                "/rules/-",
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
            ),
        ),
    ]


def _patched(lab: Inventory, item: str, path: str, value: Object) -> dict[str, Any]:
    """Damage and repair of an object of an API server's making: it is its writer again afterwards."""
    kept = f"{KEPT}/{item.replace('/', '-')}"
    patch = json.dumps([{"op": "add", "path": path, "value": value}])
    unique = "/^  resourceVersion:/d; /^  uid:/d"
    return {
        "at": lab.masters[0],
        "damage": f"mkdir -p {KEPT} && {KUBECTL} get {item} -o yaml | sed {quote(unique)} > {kept}.part"
        f" && mv {kept}.part {kept} && {KUBECTL} patch {item} --type json -p {quote(patch)}",
        "repair": f"test ! -e {kept} || {{ {KUBECTL} replace --field-manager kube-apiserver -f {kept}"
        f" >/dev/null && rm {kept}; }}",
        "touches": (item,),
    }


def _tokens(lab: Inventory) -> list[Breakage]:
    token = {
        "token-id": "defect",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
    }
    kind = "bootstrap.kubernetes.io/token"
    groups = {"auth-extra-groups": "system:bootstrappers:defect", "expiration": "2099-01-01T00:00:00Z"}
    account = {"kubernetes.io/service-account.name": "kube-proxy"}
    return [
        _secret(
            name="token-endless",
            title="a token to join never ends",
            says=f"Secret/{SPACE}/bootstrap-token-defect: lets machines join, and never ends",
            **stranger(
                lab, "v1", "Secret", "bootstrap-token-defect", {"type": kind, "stringData": token}, SPACE
            ),
        ),
        _secret(
            name="token-with-groups",
            title="a token to join gives more than joining",
            says=f"Secret/{SPACE}/bootstrap-token-groups: gives whoever has it .*system:bootstrappers:defect",
            **stranger(
                lab,
                "v1",
                "Secret",
                "bootstrap-token-groups",
                {"type": kind, "stringData": token | groups | {"token-id": "groups"}},
                SPACE,
            ),
        ),
        _secret(
            name="account-token",
            title="a token of a service account of the platform never ends",
            says=f"Secret/{SPACE}/defect-token: is a token of service account kube-proxy that never ends",
            **stranger(
                lab,
                "v1",
                "Secret",
                "defect-token",
                {"type": "kubernetes.io/service-account-token", "metadata": {"annotations": account}},
                SPACE,
            ),
        ),
        _secret(
            name="certificates-left",
            title="the uploaded keys of the authorities go with no token",
            says=f"Secret/{SPACE}/kubeadm-certs: holds keys of the cluster's authorities",
            **stranger(lab, "v1", "Secret", "kubeadm-certs", {"stringData": {"ca.key": "defect"}}, SPACE),
        ),
    ]


def _certificate(lab: Inventory) -> Breakage:
    request = "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout /dev/null"
    text = quote(f"s|.*|{json.dumps(REQUEST).replace('REQUEST', '&')}|")
    return _secret(
        name="certificate-strange",
        title="somebody let a certificate be signed for a client of the API",
        says="CertificateSigningRequest/defect-client: .*certificate for CN defect, O defects",
        at=lab.masters[0],
        damage=f"{request} -subj /O=defects/CN=defect 2>/dev/null | base64 -w0 | sed {text}"
        f" | {KUBECTL} apply -f - && {KUBECTL} certificate approve defect-client",
        repair=f"{KUBECTL} delete csr defect-client --ignore-not-found",
        touches=("csr/defect-client",),
    )
