"""The sample application that faults and trials are judged by, behind a load-balanced address."""

from __future__ import annotations

from lab.verify.objects import service, steadfast
from lab.verify.workspace import Workspace

SAMPLE = "web"
"""Name of its deployment, budget and service."""


def sample(space: Workspace, replicas: int) -> str:
    """Run so many replicas, each on another node while there are any, and give back the service's address."""
    deployment, budget = steadfast(SAMPLE, space.probe_image, replicas)
    space.create("deployments", deployment)
    space.create("poddisruptionbudgets", budget)
    space.await_pods(SAMPLE, replicas)
    space.create("services", service(SAMPLE, SAMPLE))
    return space.await_address(SAMPLE)
