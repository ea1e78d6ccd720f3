"""The lab's CA: made once, for one domain, and what it signed is judged."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

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


def request(*, signed_by_itself: bool = True) -> str:
    """What a machine asks to be signed, for a name that nobody gave it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.NameAttribute(NameOID.COMMON_NAME, "bank.example"),
    )
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([name]))
    made = asked.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)
    if not signed_by_itself:
        made = made[:-1] + bytes([made[-1] ^ 1])
    return ssl.DER_cert_to_PEM_cert(made).replace("CERTIFICATE", "CERTIFICATE REQUEST")


def test_of_a_request_the_key_alone_is_taken(tmp_path: Path) -> None:
    made, names = Authority(tmp_path, DOMAIN), (f"worker-1.{DOMAIN}", f"toy.{DOMAIN}")
    asked = request()
    signed = made.sign(asked, names)
    found = x509.load_pem_x509_certificate(signed.encode())
    assert found.public_key() == x509.load_pem_x509_csr(asked.encode()).public_key()
    assert "bank.example" not in found.subject.rfc4514_string()
    assert made.fault(signed, names) == ""
    assert made.fault(signed, names[:1]) == f"is not for worker-1.{DOMAIN}"
    assert made.fault(signed, names, "client") == "is not a client's"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (request(signed_by_itself=False), "is not signed by an elliptic-curve key of its own"),
        ("x", "cannot be read"),
    ],
    ids=["a stranger's", "none"],
)
def test_a_request_that_is_none_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(FailedError, match=f"the request for worker-1.{DOMAIN} {says}"):
        Authority(tmp_path, DOMAIN).sign(text, (f"worker-1.{DOMAIN}",))


def test_a_clients_certificate_is_no_servers(tmp_path: Path) -> None:
    made, names = Authority(tmp_path, DOMAIN), (f"prometheus-client.{DOMAIN}",)
    leaf = made.issue(names, "client")
    assert made.fault(leaf.certificate, names, "client") == ""
    assert made.fault(leaf.certificate, names) == "is not a server's"
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(unsuitable|unsupported) certificate purpose"):
        shaken(tmp_path, made, names[0], key=leaf.key, certificate=leaf.certificate)


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
