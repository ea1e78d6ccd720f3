"""A certificate authority of a test's own, and the tokens that a registry takes from it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
SERVICE = "plumbline-test"
TOKEN_SECONDS = 300


class Keys:
    """The authority's certificate in `folder`/ca.crt; servers' keys beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate_file = folder / "ca.crt"
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
        builder = self._builder(name, name, self._key.public_key(), datetime.now(UTC))
        self._certificate = builder.add_extension(x509.BasicConstraints(True, None), critical=True).sign(
            self._key, hashes.SHA256()
        )
        self.certificate_file.write_bytes(self._certificate.public_bytes(Encoding.PEM))

    def issue(self, name: str, names: Sequence[str], begins: datetime | None = None) -> Path:
        """Key and certificate of a server in one file; valid for two days from `begins` (now)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(
            subject, self._certificate.subject, key.public_key(), begins or datetime.now(UTC)
        )
        alternatives = x509.SubjectAlternativeName([_general(one) for one in names])
        certificate = builder.add_extension(alternatives, critical=False).sign(self._key, hashes.SHA256())
        file = self.folder / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        return file

    def token(self, repository: str) -> str:
        """A token that lets its bearer pull from a repository (distribution, spec/auth/jwt)."""
        now = int(time.time())
        claims = {
            "iss": SERVICE,
            "sub": "",
            "aud": SERVICE,
            "nbf": now - 10,
            "iat": now,
            "exp": now + TOKEN_SECONDS,
            "jti": secrets.token_hex(8),
            "access": [{"type": "repository", "name": repository, "actions": ["pull"]}],
        }
        chain = [base64.b64encode(self._certificate.public_bytes(Encoding.DER)).decode()]
        text = f"{_packed({'typ': 'JWT', 'alg': 'ES256', 'x5c': chain})}.{_packed(claims)}"
        r, s = decode_dss_signature(self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_url_safe(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    @staticmethod
    def _builder(
        subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins - timedelta(hours=1))
            .not_valid_after(begins + 2 * DAY)
        )


def _general(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)


def _packed(data: dict[str, Any]) -> str:
    return _url_safe(json.dumps(data).encode())


def _url_safe(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
