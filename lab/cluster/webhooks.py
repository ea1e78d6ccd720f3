"""Webhooks: whether they answer; those that do not by the API server's texts, and what stands behind them."""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.cluster.api import Api, ApiError
from lab.cluster.endpoints import listed
from lab.errors import FailedError
from lab.objects import Object

NOT_YET = (
    "failed calling webhook",
    "no endpoints available for service",
    "connection refused",
    "x509: certificate signed by unknown authority",
)
"""Texts with which the API server says that an admission webhook does not serve yet (metallb#1597, #1610).
Every other refusal is final."""
_SERVICE = re.compile(r"https://(?P<name>[a-z0-9-]+)\.(?P<space>[a-z0-9-]+)\.svc\b")
LOG_LINES = 10


def not_yet(message: str) -> bool:
    """Whether a refusal says that a webhook does not serve yet."""
    return any(text in message for text in NOT_YET)


def unanswered(api: Api, item: Object) -> dict[str, str]:
    """Webhooks of an object that do not answer, by name, and why. Changes nothing.

    Those of a webhook configuration, or the one with which a CustomResourceDefinition converts its versions.

    Each is asked through the API server (its proxy of services): any answer of HTTP is one. Whether the CA
    fits is seen by the API server alone, when it calls the webhook for a real request or a dry run.

    The proxy reaches pods only. Of a service without a selector, whose endpoints somebody else writes, one
    ready endpoint is an answer. What is outside of the cluster (`url`, a service of type ExternalName)
    nobody can ask through the API, and it is not waited for.
    """
    said = {name: _silence(api, client) for name, client in clients(item).items()}
    return {name: why for name, why in said.items() if why}


def clients(item: Object) -> dict[str, Object]:
    """How the API server reaches the webhooks of an object (clientConfig), by name; empty for one without."""
    conversion = item.get("spec", {}).get("conversion") or {}
    found = {one["name"]: one["clientConfig"] for one in item.get("webhooks") or ()}
    if conversion.get("strategy") == "Webhook":
        found[f"conversion of {item['metadata']['name']}"] = conversion["webhook"]["clientConfig"]
    return found


def _silence(api: Api, client: Object) -> str:
    """Why a webhook does not answer; "" when it does."""
    service = client.get("service")
    if not service:
        return ""
    root = f"/api/v1/namespaces/{service['namespace']}/services"
    where = f"service {service['namespace']}/{service['name']}"
    living = api.get(f"{root}/{service['name']}")
    if living is None:
        return f"{where} does not exist"
    if living["spec"].get("type") == "ExternalName":
        return ""
    without_ca = "" if client.get("caBundle") else "has no CA by which the API servers would know it"
    if not living["spec"].get("selector"):
        ready = _has_endpoint(api, service)
        return without_ca if ready else f"{where} has no selector, and no ready endpoint"
    call = f"https:{service['name']}:{service.get('port', 443)}/proxy/{service.get('path', '').lstrip('/')}"
    try:
        api.request("GET", f"{root}/{call}")
    except ApiError as error:
        # a webhook refuses a GET as it likes (400, 405, 415); 5xx is the API server that reached nobody
        if error.status >= 500:
            return f"{where}: {error.message}"
    return without_ca


def _has_endpoint(api: Api, service: Object) -> bool:
    """Whether a service has a ready endpoint; one that does not say whether it is ready counts as such."""
    found = listed(api, service["namespace"], service["name"])
    return any((entry.get("conditions") or {}).get("ready") is not False for entry in found)


def evidence(api: Api, message: str) -> str:
    """What stands behind the webhook that a refusal names: service, endpoints, the end of its pods' logs.

    "" for a message that names none. What cannot be looked at is said, never raised: this explains another
    error.
    """
    named = _SERVICE.search(message)
    if not named:
        return ""
    name, root = named["name"], f"/api/v1/namespaces/{named['space']}"
    service = _looked(lambda: api.get(f"{root}/services/{name}"))
    if not isinstance(service, dict):
        return f"\n  service {named['space']}/{name}: {service or 'does not exist'}"
    lines = [f"service {named['space']}/{name}: {service['spec'].get('clusterIP')}"]
    endpoints = _looked(lambda: api.get(f"{root}/endpoints/{name}"))
    lines.append(
        f"endpoints: {_addresses(endpoints) if isinstance(endpoints, dict) else endpoints or 'none'}"
    )
    wanted = ",".join(f"{key}%3D{value}" for key, value in (service["spec"].get("selector") or {}).items())
    pods = _looked(lambda: api.get(f"{root}/pods?labelSelector={wanted}"))
    for pod in pods["items"] if isinstance(pods, dict) else []:
        lines += _pod(api, root, pod)
    return "".join(f"\n  {line}" for line in lines)


def _looked(look: Callable[[], Object | None]) -> Object | str | None:
    try:
        return look()
    except FailedError as error:
        return error.message


def _addresses(endpoints: Object) -> str:
    subsets = endpoints.get("subsets") or []
    ready = [entry["ip"] for subset in subsets for entry in subset.get("addresses") or []]
    unready = [entry["ip"] for subset in subsets for entry in subset.get("notReadyAddresses") or []]
    return ", ".join([*ready, *(f"{address} (not ready)" for address in unready)]) or "none"


def _pod(api: Api, root: str, pod: Object) -> list[str]:
    name = pod["metadata"]["name"]
    said = _looked(lambda: api.get(f"{root}/pods/{name}/log?tailLines={LOG_LINES}"))
    text = said.get("text", "") if isinstance(said, dict) else said or ""
    return [f"pod {name}: {pod['status'].get('phase')}", *(f"  {line}" for line in str(text).splitlines())]
