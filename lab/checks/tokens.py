"""Tokens, keys and certificates of the cluster that nobody declared (P2-14). No secret value is ever told."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID

from lab.checks.declared import Declared, uid
from lab.cluster.discovery import Resource
from lab.objects import Object, condition

SECRETS = Resource("", "v1", "Secret", "secrets", True)
REQUESTS = Resource(
    "certificates.k8s.io", "v1", "CertificateSigningRequest", "certificatesigningrequests", False
)
BIRTH = "/api/v1/namespaces/kube-system"
"""The namespace that an API server makes first: it is as old as the cluster."""
JOINS = "system:bootstrappers:kubeadm:default-node-token"
"""Whom kubeadm gives what a joining machine needs (constants.NodeBootstrapTokenAuthGroup)."""
FOUNDING = timedelta(hours=1)
"""In which `kubeadm init` of a slow machine has made its own token, after the cluster's birth."""
OF_INIT, OF_A_JOIN = timedelta(hours=24), timedelta(minutes=20)
"""Lives of the tokens of `kubeadm init` (constants.DefaultTokenDuration) and of a join of ours."""
OF_CERTIFICATES = timedelta(hours=2)
"""Life of the token with which uploaded certificates go (constants.DefaultCertTokenDuration)."""
SECOND = timedelta(seconds=30)
"""Between the moments for which kubeadm reckons and at which the API server writes."""
_CLIENT = "kubernetes.io/kube-apiserver-client"
OF_KUBELETS = (f"{_CLIENT}-kubelet", "kubernetes.io/kubelet-serving")
SIGNERS = (_CLIENT, *OF_KUBELETS)
"""Signers whose certificates the API servers and their clients believe (Kubernetes signers of CSRs)."""


def left(declared: Declared) -> list[str]:
    """A line for each secret of the platform's namespaces that nobody declared, and for each certificate that
    was signed for others than the kubelets of the lab."""
    return [*_secrets(declared), *_certificates(declared)]


def _secrets(declared: Declared) -> Iterator[str]:
    found = list(declared.strange(SECRETS, declared.spaces))
    there = {uid(item) for _, item in found}
    born = _time(
        (declared.driver.cluster.get(BIRTH) or {"metadata": {}})["metadata"].get("creationTimestamp")
    )
    for name, item in found:
        kind, meta = item.get("type", "Opaque"), item["metadata"]
        owners = {one["uid"] for one in meta.get("ownerReferences") or ()}
        if kind == "bootstrap.kubernetes.io/token":
            if why := _token(item, born):
                yield f"{name}: {why}"
        elif kind == "kubernetes.io/service-account-token":
            account = (meta.get("annotations") or {}).get("kubernetes.io/service-account.name", "")
            yield f"{name}: is a token of service account {account} that never ends"
        elif meta["name"] == "kubeadm-certs":
            if not owners & there:
                yield f"{name}: holds keys of the cluster's authorities, and goes with no token that is left"
        elif not owners:
            yield f"{name}: nobody declared this secret ({kind})"


def _token(item: Object, born: datetime | None) -> str:
    """Why a bootstrap token is not one of kubeadm's or of a join of ours; "" when it is."""
    said = {key: _text(value) for key, value in (item.get("data") or {}).items()}
    made, ends = _time(item["metadata"].get("creationTimestamp")), _time(said.get("expiration"))
    joins = said.get("usage-bootstrap-authentication") == "true"
    does = "lets machines join" if joins else "signs the cluster's address"
    if ends is None:
        return f"{does}, and never ends"
    if joins and said.get("auth-extra-groups", JOINS) != JOINS:
        return f"gives whoever has it the groups {said['auth-extra-groups']}"
    lives = ends - made if made else OF_INIT
    if not joins and lives <= OF_CERTIFICATES + SECOND:
        return ""
    founding = made is not None and born is not None and made - born <= FOUNDING
    allowed = (OF_INIT if founding else OF_A_JOIN) + SECOND
    return (
        "" if lives <= allowed else f"{does} until {said['expiration']}, and no join of the lab asked for it"
    )


def _certificates(declared: Declared) -> Iterator[str]:
    nodes = [f"system:node:{name}" for name in declared.driver.inventory.nodes]
    for name, item in declared.strange(REQUESTS):
        spec = item["spec"]
        signer, who = spec["signerName"], spec.get("username", "")
        if signer not in SIGNERS or condition(item, "Approved").get("status") != "True":
            continue
        subject = _subject(spec["request"])
        asked = who in nodes or (who.startswith("system:bootstrap:") and JOINS in (spec.get("groups") or ()))
        if (
            signer in OF_KUBELETS
            and asked
            and subject.get("CN") in nodes
            and subject.get("O") == "system:nodes"
        ):
            continue
        told = ", ".join(f"{key} {value}" for key, value in subject.items()) or "a name that cannot be read"
        yield f"{name}: {signer} signs a certificate for {told}, which {who} asked for"


def _subject(request: str) -> Mapping[str, str]:
    """Name and groups in a certificate request (PEM in base64); nothing of one that cannot be read."""
    try:
        name = x509.load_pem_x509_csr(base64.b64decode(request)).subject
    except (ValueError, binascii.Error):
        return {}
    parts = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
    found = {key: [str(one.value) for one in name.get_attributes_for_oid(oid)] for key, oid in parts.items()}
    return {key: ", ".join(values) for key, values in found.items() if values}


def _text(value: str) -> str:
    return base64.b64decode(value).decode(errors="replace")


def _time(text: str | None) -> datetime | None:
    """A time of the API (RFC 3339); None for none, and for one that token-cleaner cannot read either."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
