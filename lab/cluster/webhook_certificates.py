"""First certificates of webhooks, in the form that their programs renew: open-policy-agent/cert-controller's.

It takes a Secret of `ca.crt`, `ca.key`, `tls.crt` and `tls.key` for its own when the chain is right, the CA's
own name is one of its DNS names, the keys are RSA in PKCS #1, and all ends in more than 90 days.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lab.addons.model import WebhookCertificate
from lab.authority import BACKDATED
from lab.cluster import secrets
from lab.cluster.api import Api

MANAGER = "plumbline-webhook-certificate"
"""Another than that of the manifest's Secret, which holds nothing: applying it again would empty this one."""
CA_DAYS, DAYS = 3650, 365
"""As the program's own."""


def ensure_webhook_certificate(api: Api, wanted: WebhookCertificate) -> bool:
    """Make a CA and a certificate where the Secret is missing or empty; whether they were made."""
    if secrets.held(api.get(secrets.path(wanted)), "tls.crt"):
        return False
    api.apply(secrets.secret(wanted, made(wanted)), manager=MANAGER)
    return True


def made(wanted: WebhookCertificate) -> dict[str, str]:
    """The texts of such a Secret by key: a new CA's and a new server's certificate and key, PEM."""
    organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, wanted.organization)
    issuer = x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, wanted.authority)])
    name = f"{wanted.service}.{wanted.namespace}.svc"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    ca_key, key = (rsa.generate_private_key(65537, 2048) for _ in range(2))
    ca = (
        _builder(ca_key, issuer, ca_key, issuer, wanted.authority, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        _builder(ca_key, issuer, key, subject, name, DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return {
        "ca.crt": ca.public_bytes(Encoding.PEM).decode(),
        "ca.key": _pem(ca_key),
        "tls.crt": leaf.public_bytes(Encoding.PEM).decode(),
        "tls.key": _pem(key),
    }


def _builder(
    signer: rsa.RSAPrivateKey,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    subject: x509.Name,
    name: str,
    days: int,
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - BACKDATED
    return (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=True,
        key_cert_sign=signs,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
