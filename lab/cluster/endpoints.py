"""Who answers behind a Service: its pods, as the cluster itself lists them."""

from __future__ import annotations

from dataclasses import dataclass

from lab.cluster.api import Api


@dataclass(frozen=True, order=True)
class PodEndpoint:
    """A pod's address that answers, and the node that runs the pod."""

    address: str
    node: str


def ready_endpoints(api: Api, namespace: str, service: str) -> list[PodEndpoint]:
    """The ready pods of a Service, by address; none when there is no such Service.

    Raises `ApiError` and `Unavailable`.
    """
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    return sorted(
        PodEndpoint(address, item["nodeName"])
        for piece in api.items(path)
        if (piece["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service
        for item in piece.get("endpoints") or ()
        if (item.get("conditions") or {}).get("ready") and item.get("nodeName")
        for address in item["addresses"]
    )
