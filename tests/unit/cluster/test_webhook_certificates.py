"""First certificates of webhooks: of the form that the program takes for its own, and never a second one."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store

from lab.addons.model import WebhookCertificate
from lab.cluster import secrets
from lab.cluster.webhook_certificates import MANAGER, ensure_webhook_certificate, made
from lab.objects import Object
from tests.fake_api import FakeApi

WANTED = WebhookCertificate(
    namespace="example", name="webhook-cert", service="webhook", authority="its-ca", organization="example"
)


def test_the_certificate_is_signed_by_its_ca_for_the_name_of_the_service() -> None:
    held = made(WANTED)
    leaf, ca = (x509.load_pem_x509_certificate(held[key].encode()) for key in ("tls.crt", "ca.crt"))
    verifier = PolicyBuilder().store(Store([ca])).build_server_verifier(x509.DNSName("webhook.example.svc"))
    assert verifier.verify(leaf, [])[-1] == ca
    assert ca.subject.rfc4514_string() == "CN=its-ca,O=example"
    names = ca.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["its-ca"], "the program asks its CA for its own name"


@pytest.mark.parametrize(("certificate", "key"), [("ca.crt", "ca.key"), ("tls.crt", "tls.key")])
def test_each_key_is_of_its_certificate_and_in_the_form_that_the_program_reads(
    certificate: str, key: str
) -> None:
    held = made(WANTED)
    assert held[key].startswith("-----BEGIN RSA PRIVATE KEY-----")
    private = load_pem_private_key(held[key].encode(), None)
    public = x509.load_pem_x509_certificate(held[certificate].encode()).public_key()
    assert private.public_key() == public


@pytest.fixture
def api() -> FakeApi:
    """A cluster with the namespace."""
    api = FakeApi()
    api.objects["/api/v1/namespaces/example"] = {"metadata": {"name": "example"}}
    return api


def test_one_that_holds_a_certificate_is_the_programs_own(api: FakeApi) -> None:
    assert ensure_webhook_certificate(api, WANTED)
    first = secrets.held(api.get(secrets.path(WANTED)), "tls.crt")
    assert first.startswith("-----BEGIN CERTIFICATE-----")
    assert not ensure_webhook_certificate(api, WANTED)
    assert secrets.held(api.get(secrets.path(WANTED)), "tls.crt") == first


def test_an_empty_one_of_the_manifest_is_filled_by_a_manager_of_its_own(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": WANTED.name, "namespace": "example"}}
    )
    asked: list[str] = []
    apply = api.apply

    def noting(item: Object, *, manager: str) -> Object:
        asked.append(manager)
        return apply(item, manager=manager)

    monkeypatch.setattr(api, "apply", noting)
    assert ensure_webhook_certificate(api, WANTED)
    assert asked == [MANAGER]
