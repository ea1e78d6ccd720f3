"""Who answers behind a Service: its pods, as the cluster itself lists them."""

from __future__ import annotations

from dataclasses import dataclass

from lab.cluster.api import Api
from lab.objects import Object


@dataclass(frozen=True, order=True)
class PodEndpoint:
    """A pod's address that answers, and the node that runs the pod."""

    address: str
    node: str


def ready_endpoints(api: Api, namespace: str, service: str) -> list[PodEndpoint]:
    """The ready pods of a Service, by address; none when there is no such Service.

    Raises `ApiError` and `Unavailable`.
    """
    return sorted(
        PodEndpoint(address, item["nodeName"])
        for item in listed(api, namespace, service)
        if (item.get("conditions") or {}).get("ready") and item.get("nodeName")
        for address in item["addresses"]
    )


def listed(api: Api, namespace: str, service: str) -> list[Object]:
    """All endpoints of a Service (discovery.k8s.io/v1), ready or not; none when there is no such Service."""
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    slices = api.items(f"{path}?labelSelector=kubernetes.io%2Fservice-name%3D{service}")
    return [item for piece in slices for item in piece.get("endpoints") or ()]
