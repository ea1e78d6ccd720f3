"""TLS secrets of add-ons: signed by the lab's CA, and made anew before they end."""

from __future__ import annotations

import base64

from lab.addons.mark import marked
from lab.addons.model import AddOn, Certificate
from lab.authority import Authority
from lab.cluster.api import Api
from lab.cluster.apply import ObjectChange, title
from lab.objects import Object

FIELD = "tls.crt"


def certificate_change(api: Api, wanted: Certificate, authority: Authority) -> ObjectChange | None:
    """What `ensure_certificate` would do, None when nothing. Changes nothing in the cluster."""
    live = api.get(_path(wanted))
    fault = authority.fault(_certificate(live)) if live else ""
    if live and not fault:
        return None
    after = f"certificate for {', '.join(authority.names)}, signed by {authority.certificate_file}\n"
    before = f"certificate that {fault}\n" if fault else ""
    return ObjectChange(title(_secret(wanted, "", "")), before, after)


def ensure_certificate(api: Api, addon: AddOn, wanted: Certificate, authority: Authority) -> bool:
    """Make the secret when it is missing, of another CA or domain, or near its end; whether it was made."""
    if certificate_change(api, wanted, authority) is None:
        return False
    leaf = authority.issue()
    api.apply(marked(_secret(wanted, leaf.certificate, leaf.key), addon))
    return True


def _path(wanted: Certificate) -> str:
    return f"/api/v1/namespaces/{wanted.namespace}/secrets/{wanted.name}"


def _certificate(secret: Object) -> str:
    return base64.b64decode(secret.get("data", {}).get(FIELD, "")).decode(errors="replace")


def _secret(wanted: Certificate, certificate: str, key: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": wanted.name, "namespace": wanted.namespace},
        "data": {
            FIELD: base64.b64encode(certificate.encode()).decode(),
            "tls.key": base64.b64encode(key.encode()).decode(),
        },
    }
