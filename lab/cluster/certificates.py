"""TLS secrets of add-ons: signed by the lab's CA, and made anew before they end."""

from __future__ import annotations

from lab.addons.mark import marked
from lab.addons.model import AddOn, Certificate
from lab.authority import Authority
from lab.cluster import secrets
from lab.cluster.api import Api
from lab.cluster.apply import ObjectChange
from lab.objects import Object, title

FIELD, AUTHORITY = "tls.crt", "ca.crt"


def certificate_change(api: Api, wanted: Certificate, authority: Authority) -> ObjectChange | None:
    """What `ensure_certificate` would do, None when nothing. Changes nothing in the cluster."""
    live = api.get(secrets.path(wanted))
    fault = _fault(live, wanted, authority) if live else ""
    if live and not fault:
        return None
    names = ", ".join(_names(wanted, authority))
    after = f"certificate for {names}, signed by {authority.certificate_file}\n"
    before = f"certificate that {fault}\n" if fault else ""
    return ObjectChange(title(secrets.secret(wanted, {})), before, after)


def ensure_certificate(api: Api, addon: AddOn, wanted: Certificate, authority: Authority) -> bool:
    """Make the secret when it is missing, of another CA or domain, or near its end; whether it was made."""
    if certificate_change(api, wanted, authority) is None:
        return False
    leaf = authority.issue(_names(wanted, authority), wanted.usage)
    held = {FIELD: leaf.certificate, "tls.key": leaf.key}
    if wanted.usage == "client":
        held[AUTHORITY] = authority.certificate
    api.apply(marked(secrets.secret(wanted, held, type="kubernetes.io/tls"), addon))
    return True


def _names(wanted: Certificate, authority: Authority) -> tuple[str, ...]:
    return authority.names if wanted.usage == "server" else (f"{wanted.name}.{authority.domain}",)


def _fault(live: Object, wanted: Certificate, authority: Authority) -> str:
    """Why a secret must be made anew, "" when it need not be."""
    if wanted.usage == "client" and secrets.held(live, AUTHORITY) != authority.certificate:
        return f"is not beside the CA in {authority.certificate_file}"
    return authority.fault(secrets.held(live, FIELD), _names(wanted, authority), wanted.usage)
