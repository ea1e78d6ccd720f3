"""Keys and certificates of a host: made there, signed by the lab's CA, made anew before they end."""

from __future__ import annotations

import base64
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from lab import authority
from lab.authority import Authority
from lab.hosts import certificates
from lab.hosts.converge import compare, look
from lab.render.bundle import Bundle
from lab.render.host_certificates import HostCertificate
from tests.unit.core.here import OWNER, HereSsh, bundle, converge, mode

NAMES = ("m1.lab.internal", "toy.lab.internal")


@pytest.fixture
def own(tmp_path: Path) -> HostCertificate:
    return HostCertificate(f"{tmp_path}/etc/toy/tls", NAMES, ("restart toy",))


@pytest.fixture
def wanted(tmp_path: Path, own: HostCertificate, monkeypatch: pytest.MonkeyPatch) -> Bundle:
    monkeypatch.setattr(certificates, "OWNER", OWNER)
    made = Authority(tmp_path / "ca", "lab.internal")
    return replace(bundle(), certificates=(own,), authority=made)


def test_a_key_is_made_on_the_host_and_its_certificate_is_the_cas(
    ssh: HereSsh, log: Path, own: HostCertificate, wanted: Bundle
) -> None:
    told = f"make {own.key} and its certificate for {', '.join(NAMES)}: there is none"
    assert converge(ssh, wanted) == [told]
    assert mode(Path(own.key)) == 0o600
    assert [mode(Path(path)) for path in (own.folder, own.certificate, own.authority)] == [
        0o755,
        0o644,
        0o644,
    ]
    held = x509.load_pem_x509_certificate(Path(own.certificate).read_bytes())
    key = load_pem_private_key(Path(own.key).read_bytes(), None)
    assert held.public_key() == key.public_key()
    assert wanted.authority is not None
    assert wanted.authority.fault(Path(own.certificate).read_text(), NAMES) == ""
    assert Path(own.authority).read_text() == wanted.authority.certificate
    assert log.read_text() == "systemctl restart toy\n"
    assert sorted(path.name for path in Path(own.folder).iterdir()) == ["ca.crt", "tls.crt", "tls.key"]
    assert converge(ssh, wanted) == []


def test_the_key_never_leaves_the_host(ssh: HereSsh, own: HostCertificate, wanted: Bundle) -> None:
    (change,) = compare(wanted, look(ssh, wanted))
    assert "PRIVATE KEY" not in repr(change)
    converge(ssh, wanted)
    assert own.key not in look(ssh, wanted).files, "of a key is asked whether it is there, and no more"
    seen = look(ssh, wanted).model_dump_json()
    lines = [line for line in Path(own.key).read_text().splitlines() if "KEY" not in line]
    texts = [base64.b64decode(item.text).decode() for item in look(ssh, wanted).files.values() if item]
    assert not any(line in text for line in lines for text in (seen, *texts))


@pytest.mark.parametrize("lost", ["tls.key", "tls.crt", "ca.crt"])
def test_what_is_lost_is_made_anew(ssh: HereSsh, own: HostCertificate, wanted: Bundle, lost: str) -> None:
    converge(ssh, wanted)
    Path(own.folder, lost).unlink()
    (told,) = converge(ssh, wanted)
    why = "is not the CA in" if lost == "ca.crt" else "there is none"
    assert why in told
    assert converge(ssh, wanted) == []


def test_it_is_made_anew_with_another_key_before_it_ends(
    ssh: HereSsh, own: HostCertificate, wanted: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(authority, "BACKDATED", timedelta(days=authority.LEAF_DAYS - 100))
        made = Authority(Path(own.folder).parents[2] / "ca", "lab.internal")
        converge(ssh, replace(wanted, authority=made))
    before = Path(own.key).read_bytes()
    (told,) = converge(ssh, wanted)
    assert "the one that is there ends in " in told
    assert Path(own.key).read_bytes() != before
    assert converge(ssh, wanted) == []


def test_another_ca_or_other_names_are_told(
    ssh: HereSsh, own: HostCertificate, wanted: Bundle, tmp_path: Path
) -> None:
    converge(ssh, wanted)
    stranger = replace(wanted, authority=Authority(tmp_path / "other", "lab.internal"))
    (change,) = compare(stranger, look(ssh, stranger))
    assert f"is not the CA in {tmp_path}/other/lab.internal.crt" in change.sentence
    renamed = replace(wanted, certificates=(replace(own, names=("m2.lab.internal",)),))
    (change,) = compare(renamed, look(ssh, renamed))
    assert "the one that is there is not for m2.lab.internal" in change.sentence


def test_where_nothing_is_signed_nothing_is_told(ssh: HereSsh, wanted: Bundle) -> None:
    alone = replace(wanted, authority=None)
    assert compare(alone, look(ssh, alone)) == ()
