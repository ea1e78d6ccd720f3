"""Layer load: how fast pods start."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.objects import deployment
from lab.checks.verbs import holds
from lab.checks.workspace import Workspace, workspace
from lab.objects import Object, condition

BATCHES = 10
"""One after the other, each a pod for every worker: pods that start together wait for each other."""


@pytest.fixture(scope="session")
def space(driver: Driver) -> Iterator[Workspace]:
    """Where the pods are made."""
    with workspace(driver, "start") as made:
        yield made


def start_seconds(pod: Object) -> float:
    """From a pod's creation to its readiness, by the cluster's own clock, which counts whole seconds."""
    ready = condition(pod, "Ready")
    made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
    return (datetime.fromisoformat(ready["lastTransitionTime"]) - made).total_seconds()


@pytest.mark.check("L5-11")
def test_pods_start_fast(driver: Driver, space: Workspace, measure: Measure) -> None:
    """99 % of pods are Ready within the limit when their image is on the node."""
    workers, limit = len(driver.inventory.workers), driver.inventory.thresholds.pod_start_seconds
    took: list[float] = []
    for batch in range(BATCHES):
        app = f"start-{batch}"
        space.create("deployments", deployment(app, space.probe_image, workers))
        took += [start_seconds(pod) for pod in space.await_pods(app, workers)]
        driver.cluster.delete(f"{space.apps}/deployments/{app}")
    took.sort()
    p99 = took[max(0, round(0.99 * len(took)) - 1)]
    measure("pods started", len(took), "pods")
    measure("p50 of a pod's start", took[len(took) // 2], "s")
    measure("p99 of a pod's start", p99, "s", limit)
    holds("p99 of a pod's start", p99 <= limit, expected=f"at most {limit:g} s", seen=took)
