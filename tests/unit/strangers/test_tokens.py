"""Row P2-14: secrets of the platform's namespaces, tokens to join, signed certificates."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lab.checks.declared import Declared
from lab.checks.tokens import JOINS, left
from tests.fake_api import FakeApi
from tests.unit.strangers.making import put

SECRETS = "/api/v1/secrets"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
BOOTSTRAP = "bootstrap.kubernetes.io/token"
NAME = "Secret/kube-system/bootstrap-token-abcdef"


def token(api: FakeApi, made: str, **fields: str) -> None:
    data = {key.replace("_", "-"): base64.b64encode(text.encode()).decode() for key, text in fields.items()}
    item = put(api, SECRETS, "bootstrap-token-abcdef", "kube-system", by="kubeadm", type=BOOTSTRAP, data=data)
    item["metadata"]["creationTimestamp"] = made


JOIN = {"usage_bootstrap_authentication": "true", "auth_extra_groups": JOINS}


@pytest.mark.parametrize(
    ("made", "fields"),
    [
        ("2026-01-01T00:00:40Z", JOIN | {"expiration": "2026-01-02T00:00:40Z"}),
        ("2026-03-01T00:00:00Z", JOIN | {"expiration": "2026-03-01T00:20:00Z"}),
        ("2026-03-01T00:00:00Z", {"expiration": "2026-03-01T02:00:00Z", "description": "Proxy"}),
    ],
)
def test_tokens_of_kubeadm_and_of_a_join_are_accepted(
    declared: Declared, api: FakeApi, made: str, fields: dict[str, str]
) -> None:
    token(api, made, **fields)
    assert left(declared) == []


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (JOIN, "lets machines join, and never ends"),
        (JOIN | {"expiration": "soon"}, "lets machines join, and never ends"),
        (
            JOIN | {"expiration": "2026-03-02T00:00:00Z"},
            "lets machines join until 2026-03-02T00:00:00Z, and no join of the lab asked for it",
        ),
        (
            JOIN | {"auth_extra_groups": "system:bootstrappers:x", "expiration": "2026-03-01T00:01:00Z"},
            "gives whoever has it the groups system:bootstrappers:x",
        ),
        (
            {"expiration": "2026-03-09T00:00:00Z"},
            "signs the cluster's address until 2026-03-09T00:00:00Z, and no join of the lab asked for it",
        ),
    ],
)
def test_another_token_is_named(declared: Declared, api: FakeApi, fields: dict[str, str], told: str) -> None:
    token(api, "2026-03-01T00:00:00Z", **fields)
    assert left(declared) == [f"{NAME}: {told}"]


def test_uploaded_certificates_go_with_their_token(declared: Declared, api: FakeApi) -> None:
    token(api, "2026-03-01T00:00:00Z", expiration="2026-03-01T02:00:00Z")
    owner = {"kind": "Secret", "name": "t", "uid": "secrets/kube-system/bootstrap-token-abcdef"}
    put(api, SECRETS, "kubeadm-certs", "kube-system", by="kubeadm", owners=(owner,))
    assert left(declared) == []
    del api.objects["/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef"]
    [told] = left(declared)
    assert told.startswith("Secret/kube-system/kubeadm-certs: holds keys of the cluster's authorities")


def test_secrets_of_the_platform_are_declared(declared: Declared, api: FakeApi) -> None:
    put(api, SECRETS, "memberlist", "metallb-system", type="Opaque")
    put(api, SECRETS, "default-certificate", "traefik", type="kubernetes.io/tls")
    put(api, SECRETS, "password", "shop", type="Opaque")
    assert left(declared) == []
    kind, key = "kubernetes.io/service-account-token", "kubernetes.io/service-account.name"
    put(api, SECRETS, "x", "traefik", type=kind, annotations={key: "traefik"})
    put(api, SECRETS, "y", "kube-public", type="Opaque")
    assert left(declared) == [
        "Secret/kube-public/y: nobody declared this secret (Opaque)",
        "Secret/traefik/x: is a token of service account traefik that never ends",
    ]


def request(api: FakeApi, signer: str, who: str, state: str = "Approved", **subject: str) -> None:
    oids = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
    names = x509.Name([x509.NameAttribute(oids[key], text) for key, text in subject.items()])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(names).sign(key, hashes.SHA256())
    spec: dict[str, Any] = {"signerName": f"kubernetes.io/{signer}", "username": who, "groups": [JOINS]}
    spec["request"] = base64.b64encode(made.public_bytes(Encoding.PEM)).decode()
    conditions = [{"type": state, "status": "True"}] if state else []
    put(api, REQUESTS, "csr", by="kubelet", spec=spec, status={"conditions": conditions})


KUBELET = {"CN": "system:node:worker-1", "O": "system:nodes"}


@pytest.mark.parametrize(
    ("signer", "who", "state", "subject"),
    [
        ("kube-apiserver-client-kubelet", "system:bootstrap:abcdef", "Approved", KUBELET),
        ("kube-apiserver-client-kubelet", "system:node:worker-1", "Approved", KUBELET),
        ("kubelet-serving", "system:node:worker-1", "Approved", KUBELET),
        ("kube-apiserver-client", "eve", "Denied", {"CN": "eve"}),
        ("kube-apiserver-client", "eve", "", {"CN": "eve"}),
        ("other", "eve", "Approved", {"CN": "eve"}),
    ],
)
def test_certificates_of_kubelets_are_accepted(
    declared: Declared, api: FakeApi, signer: str, who: str, state: str, subject: dict[str, str]
) -> None:
    request(api, signer, who, state, **subject)
    assert left(declared) == []


@pytest.mark.parametrize(
    ("signer", "who", "subject", "told"),
    [
        ("kube-apiserver-client", "kubernetes-admin", {"CN": "eve", "O": "team"}, "CN eve, O team"),
        ("kube-apiserver-client-kubelet", "eve", KUBELET, "CN system:node:worker-1, O system:nodes"),
        (
            "kube-apiserver-client-kubelet",
            "system:bootstrap:abcdef",
            KUBELET | {"CN": "system:node:stranger"},
            "CN system:node:stranger, O system:nodes",
        ),
    ],
)
def test_a_certificate_of_others_is_named(
    declared: Declared, api: FakeApi, signer: str, who: str, subject: dict[str, str], told: str
) -> None:
    request(api, signer, who, **subject)
    assert left(declared) == [
        f"CertificateSigningRequest/csr: kubernetes.io/{signer} signs a certificate for {told}, "
        f"which {who} asked for"
    ]


def test_a_request_that_cannot_be_read_is_named(declared: Declared, api: FakeApi) -> None:
    request(api, "kube-apiserver-client", "eve", CN="eve")
    api.objects[f"{REQUESTS}/csr"]["spec"]["request"] = "!"
    [told] = left(declared)
    assert "a name that cannot be read" in told
