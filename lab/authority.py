"""The lab's own certificate authority: made once, kept with the lab's keys, trusted by whoever wants to.

It can sign for one domain only, so that trusting it in a browser gives nobody power over other names. Its key
never leaves the user's data folder.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from filelock import FileLock

from lab.errors import FailedError
from lab.local import own_folder

CA_DAYS = 3650
LEAF_DAYS = 365
"""Below the 398 days that browsers take."""
RENEWED_DAYS = 120
"""A certificate is made anew when less than this is left: a third of its time, as ACME clients do."""
BACKDATED = timedelta(hours=1)
"""For clients whose clock is behind."""
Usage = Literal["server", "client"]
_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True)
class Leaf:
    """A private key and its certificate, PEM."""

    key: str
    certificate: str


class Authority:
    """The CA of `domain` and of all names directly in it, in `folder`."""

    def __init__(self, folder: Path, domain: str) -> None:
        self.domain = domain
        self.names = (domain, f"*.{domain}")
        self.certificate_file = folder / f"{domain}.crt"
        """What people and clients trust."""
        self._key_file = folder / f"{domain}.key"

    @property
    def certificate(self) -> str:
        """The CA's own certificate, PEM; it is made if there is none."""
        self._own()
        return self.certificate_file.read_text()

    def issue(self, names: tuple[str, ...] = (), usage: Usage = "server") -> Leaf:
        """A new key with a certificate for these names, default the domain's.

        The CA is made if there is none.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        return Leaf(_pem(key), self._signed(key.public_key(), names or self.names, usage))

    def sign(self, request: str, names: tuple[str, ...]) -> str:
        """A server's certificate (PEM) for the key of a request (PKCS #10, PEM).

        Of the request the key alone is taken: who asks does not say what is certified. Raises `FailedError`
        for one that its own key has not signed, and for a key of another kind than ours.
        """
        try:
            asked = x509.load_pem_x509_csr(request.encode())
        except ValueError as error:
            raise FailedError(f"the request for {names[0]} cannot be read: {error}") from error
        key = asked.public_key()
        if not asked.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
            raise FailedError(f"the request for {names[0]} is not signed by an elliptic-curve key of its own")
        return self._signed(key, names, "server")

    def _signed(self, key: ec.EllipticCurvePublicKey, names: tuple[str, ...], usage: Usage) -> str:
        ca_key, ca = self._own()
        made = (
            _builder(names[0], ca.subject, key, LEAF_DAYS)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([_USAGES[usage]]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), False)
            .sign(ca_key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.PEM).decode()

    def fault(self, certificate: str, names: tuple[str, ...] = (), usage: Usage = "server") -> str:
        """Why a certificate (PEM) for these names must be made anew, "" when it need not be.

        The names are the domain's unless others are given.
        """
        wanted = names or self.names
        try:
            found = x509.load_pem_x509_certificate(certificate.encode())
        except ValueError:
            return "is no certificate"
        _, ca = self._own()
        try:
            found.verify_directly_issued_by(ca)
        except (ValueError, TypeError, InvalidSignature):
            return f"is not signed by the CA in {self.certificate_file}"
        held = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if tuple(held.get_values_for_type(x509.DNSName)) != wanted:
            return f"is not for {', '.join(wanted)}"
        uses = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if _USAGES[usage] not in uses:
            return f"is not a {usage}'s"
        left = (found.not_valid_after_utc - datetime.now(UTC)).days
        return f"ends in {left} days" if left < RENEWED_DAYS else ""

    def _own(self) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
        """The CA's key and certificate; made when there is none. Two processes get the same."""
        own_folder(self._key_file.parent)
        with FileLock(self._key_file.with_suffix(".lock")):
            if not self._key_file.exists():
                self._make()
            try:
                key = load_pem_private_key(self._key_file.read_bytes(), None)
                certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
            except (OSError, ValueError) as error:
                raise FailedError(
                    f"{self._key_file.parent}: the CA of {self.domain} cannot be read: {error}",
                    next_step="put it back, or remove both files: the next build makes a new CA",
                ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise FailedError(
                f"{self._key_file}: is no elliptic-curve key, so it is not the one that was made here",
                next_step="put the old one back, or remove both files: the next build makes a new CA",
            )
        return key, certificate

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"Plumbline CA of {self.domain}")
        # names below the domain and the domain itself, and no address at all (RFC 5280, 4.2.1.10)
        anywhere = [x509.IPAddress(IPv4Network("0.0.0.0/0")), x509.IPAddress(IPv6Network("::/0"))]
        limits = x509.NameConstraints([x509.DNSName(self.domain)], anywhere)
        made = (
            _builder(f"Plumbline CA of {self.domain}", subject, key.public_key(), CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(limits, critical=True)
            .sign(key, hashes.SHA256())
        )
        self.certificate_file.write_bytes(made.public_bytes(Encoding.PEM))
        # the key comes last and whole: with it the CA exists
        part = self._key_file.with_name(f"{self._key_file.name}.{os.getpid()}")
        part.touch(mode=0o600)
        part.write_text(_pem(key))
        part.replace(self._key_file)


def _builder(
    subject: str, issuer: x509.Name, public: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    begin = datetime.now(UTC) - BACKDATED
    return (
        x509.CertificateBuilder(issuer, _name(subject), public, x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _name(text: str) -> x509.Name:
    # a common name has room for 64 characters (RFC 5280, appendix A)
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
