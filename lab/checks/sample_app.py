"""The sample application that faults and trials are judged by, behind a load-balanced address."""

from __future__ import annotations

from lab.checks import objects
from lab.checks.ingress import has_ingress, ingress_client
from lab.checks.objects import drain_safe, service
from lab.checks.workspace import Workspace

SAMPLE = "web"
"""Name of its deployment, budget and service."""


def sample(space: Workspace, replicas: int) -> str:
    """Run so many replicas, each on another node while there are any, and give back the service's address.

    In a lab with an ingress they are behind it as well, by the namespace's name, for an earlier one may not
    be gone yet; and every replica of the ingress knows them.
    """
    deployment, budget = drain_safe(SAMPLE, space.probe_image, replicas)
    space.create("deployments", deployment)
    space.create("poddisruptionbudgets", budget)
    space.await_pods(SAMPLE, replicas)
    space.create("services", service(SAMPLE, SAMPLE))
    if has_ingress(space.driver.inventory):
        ingress = ingress_client(space.driver)
        space.create("ingresses", objects.ingress(SAMPLE, {ingress.name(space.name): {"/": SAMPLE}}))
        ingress.await_route(space, space.name, SAMPLE)
    return space.await_address(SAMPLE)
