"""Admission webhooks that do not serve: known by the API server's texts, and looked at when they never do."""

from __future__ import annotations

import re
from collections.abc import Callable

from lab.cluster.api import Api, Object
from lab.errors import FailedError

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
