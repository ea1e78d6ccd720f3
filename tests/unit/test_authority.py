"""The lab's CA: made once, for one domain, and what it signed is judged."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from lab import authority
from lab.authority import Authority
from lab.errors import FailedError

DOMAIN = "lab.internal"


def shaken(folder: Path, made: Authority, name: str, *, key: str, certificate: str) -> None:
    """A whole TLS handshake in memory, with the client's own checks. Raises what the client raises."""
    (folder / "leaf.pem").write_text(key + certificate)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / "leaf.pem")
    client_context = ssl.create_default_context(cafile=made.certificate_file)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    ends = [ssl.MemoryBIO() for _ in range(4)]
    client = client_context.wrap_bio(ends[0], ends[1], server_hostname=name)
    server = server_context.wrap_bio(ends[2], ends[3], server_side=True)
    for _ in range(4):
        for side in (client, server):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
            ends[2].write(ends[1].read())
            ends[0].write(ends[3].read())


def test_a_client_that_trusts_the_ca_takes_the_domain_and_its_names_only(tmp_path: Path) -> None:
    made = Authority(tmp_path, DOMAIN)
    leaf = made.issue()
    for name in (DOMAIN, f"app.{DOMAIN}"):
        shaken(tmp_path, made, name, key=leaf.key, certificate=leaf.certificate)
    for name in ("example.com", f"a.b.{DOMAIN}"):
        with pytest.raises(ssl.SSLCertVerificationError):
            shaken(tmp_path, made, name, key=leaf.key, certificate=leaf.certificate)


def test_the_ca_has_no_power_over_other_names(tmp_path: Path) -> None:
    """Whoever steals the key cannot sign for a bank: clients refuse what lies outside the domain."""
    made = Authority(tmp_path, DOMAIN)
    made.issue()
    thief = Authority(tmp_path, DOMAIN)
    thief.names = ("bank.example", "*.bank.example")
    leaf = thief.issue()
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shaken(tmp_path, made, "bank.example", key=leaf.key, certificate=leaf.certificate)


def test_the_key_is_for_its_owner_alone_and_made_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        leaves = list(pool.map(lambda _: Authority(tmp_path / "ca", DOMAIN).issue(), range(4)))
    made = Authority(tmp_path / "ca", DOMAIN)
    assert [made.fault(leaf.certificate) for leaf in leaves] == [""] * 4
    assert (tmp_path / "ca" / f"{DOMAIN}.key").stat().st_mode & 0o777 == 0o600
    assert len({leaf.key for leaf in leaves}) == 4


def test_a_key_belongs_to_its_certificate(tmp_path: Path) -> None:
    leaf = Authority(tmp_path, DOMAIN).issue()
    certificate = x509.load_pem_x509_certificate(leaf.certificate.encode())
    key = load_pem_private_key(leaf.key.encode(), None)
    assert certificate.public_key() == key.public_key()


@pytest.mark.parametrize(("days", "wanted"), [(121, ""), (119, "ends in 119 days"), (-1, "ends in -1 days")])
def test_a_certificate_near_its_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, wanted: str
) -> None:
    made = Authority(tmp_path, DOMAIN)
    monkeypatch.setattr(
        authority, "BACKDATED", timedelta(days=authority.LEAF_DAYS - days) - timedelta(hours=1)
    )
    assert made.fault(made.issue().certificate) == wanted


def test_a_certificate_of_another_ca_or_domain_is_told(tmp_path: Path) -> None:
    made = Authority(tmp_path / "one", DOMAIN)
    stranger = Authority(tmp_path / "two", DOMAIN).issue().certificate
    assert made.fault(stranger) == f"is not signed by the CA in {made.certificate_file}"
    certificate = made.issue().certificate
    made.names = ("other.internal", "*.other.internal")
    assert made.fault(certificate) == "is not for other.internal, *.other.internal"
    assert made.fault("") == "is no certificate"


def test_half_a_ca_is_an_error_that_names_it(tmp_path: Path) -> None:
    made = Authority(tmp_path, DOMAIN)
    made.issue()
    made.certificate_file.unlink()
    with pytest.raises(FailedError, match=f"the CA of {DOMAIN} cannot be read"):
        made.issue()


def test_a_key_of_another_kind_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    """Not one that was made here: somebody put an own CA in its place."""
    made = Authority(tmp_path, DOMAIN)
    made.issue()
    [key] = [path for path in tmp_path.iterdir() if "PRIVATE KEY" in path.read_text()]
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(FailedError, match=f"{key}: is no elliptic-curve key"):
        made.issue()
