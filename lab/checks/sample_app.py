"""The sample application that faults and trials are judged by, behind a load-balanced address."""

from __future__ import annotations

from lab.checks.ingress_client import Front
from lab.checks.objects import ingress, service, steadfast
from lab.checks.sample_apps import await_route
from lab.checks.workspace import Workspace

SAMPLE = "web"
"""Name of its deployment, budget and service."""


def sample(space: Workspace, replicas: int) -> str:
    """Run so many replicas, each on another node while there are any, and give back the service's address.

    In a lab with an ingress they are behind it as well, by the namespace's name, for an earlier one may not
    be gone yet; and every replica of Traefik knows them.
    """
    deployment, budget = steadfast(SAMPLE, space.probe_image, replicas)
    space.create("deployments", deployment)
    space.create("poddisruptionbudgets", budget)
    space.await_pods(SAMPLE, replicas)
    space.create("services", service(SAMPLE, SAMPLE))
    if space.driver.inventory.ingress:
        front = Front(space.driver)
        space.create("ingresses", ingress(SAMPLE, {front.name(space.name): {"/": SAMPLE}}))
        await_route(front, space, space.name, SAMPLE)
    return space.await_address(SAMPLE)
