"""TLS secrets: planned exactly, made when they are missing or no longer good, else left alone."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from lab.addons import addons
from lab.addons.mark import LABEL
from lab.addons.model import Certificate
from lab.authority import Authority
from lab.cluster.certificates import certificate_change, ensure_certificate
from tests.fake_api import FakeApi

TRAEFIK = next(item for item in addons() if item.name == "traefik")
WANTED = Certificate(namespace="traefik", name="default-certificate")
PATH = "/api/v1/namespaces/traefik/secrets/default-certificate"


def cluster() -> FakeApi:
    api = FakeApi()
    api.objects["/api/v1/namespaces/traefik"] = {"metadata": {"name": "traefik"}}
    return api


def secret(api: FakeApi) -> dict[str, Any]:
    found: dict[str, Any] = api.objects[PATH]
    return found


def test_a_missing_certificate_is_planned_and_made_once(tmp_path: Path) -> None:
    api, authority = cluster(), Authority(tmp_path, "lab.internal")
    change = certificate_change(api, WANTED, authority)
    assert change is not None
    assert (change.name, change.before) == ("Secret/traefik/default-certificate", "")
    assert change.after.startswith("certificate for lab.internal, *.lab.internal, signed by")
    assert api.applied == []
    assert ensure_certificate(api, TRAEFIK, WANTED, authority)
    assert secret(api)["type"] == "kubernetes.io/tls"
    assert secret(api)["metadata"]["labels"] == {LABEL: "traefik"}
    assert certificate_change(api, WANTED, authority) is None
    assert not ensure_certificate(api, TRAEFIK, WANTED, authority)
    assert len(api.applied) == 1


def test_a_certificate_of_another_domain_is_planned_with_the_reason_and_replaced(tmp_path: Path) -> None:
    api = cluster()
    ensure_certificate(api, TRAEFIK, WANTED, Authority(tmp_path, "old.internal"))
    before, authority = secret(api)["data"], Authority(tmp_path, "new.internal")
    change = certificate_change(api, WANTED, authority)
    assert change is not None
    assert "-certificate that is not signed by the CA in" in change.diff
    assert ensure_certificate(api, TRAEFIK, WANTED, authority)
    assert secret(api)["data"] != before
    assert certificate_change(api, WANTED, authority) is None


def test_no_plan_shows_a_key(tmp_path: Path) -> None:
    change = certificate_change(cluster(), WANTED, Authority(tmp_path, "lab.internal"))
    assert change is not None
    assert "PRIVATE KEY" not in change.diff


CLIENT = Certificate(namespace="traefik", name="prometheus-client", usage="client")
CLIENT_PATH = "/api/v1/namespaces/traefik/secrets/prometheus-client"


def test_a_clients_secret_holds_its_own_name_and_the_ca_that_servers_are_judged_by(tmp_path: Path) -> None:
    api, authority = cluster(), Authority(tmp_path, "lab.internal")
    change = certificate_change(api, CLIENT, authority)
    assert change is not None
    assert change.after.startswith("certificate for prometheus-client.lab.internal, signed by")
    assert ensure_certificate(api, TRAEFIK, CLIENT, authority)
    held = {key: base64.b64decode(text).decode() for key, text in api.objects[CLIENT_PATH]["data"].items()}
    assert sorted(held) == ["ca.crt", "tls.crt", "tls.key"]
    assert held["ca.crt"] == authority.certificate
    assert authority.fault(held["tls.crt"], ("prometheus-client.lab.internal",), "client") == ""
    assert certificate_change(api, CLIENT, authority) is None


def test_a_clients_secret_without_the_ca_of_today_is_made_anew(tmp_path: Path) -> None:
    api, authority = cluster(), Authority(tmp_path, "lab.internal")
    ensure_certificate(api, TRAEFIK, CLIENT, authority)
    api.objects[CLIENT_PATH]["data"].pop("ca.crt")
    change = certificate_change(api, CLIENT, authority)
    assert change is not None
    assert "-certificate that is not beside the CA in" in change.diff
    assert ensure_certificate(api, TRAEFIK, CLIENT, authority)
    assert certificate_change(api, CLIENT, authority) is None
