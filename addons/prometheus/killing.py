"""Prometheus ended by kill -9, and its coming back."""

from __future__ import annotations

import time
from dataclasses import dataclass

from addons.prometheus.asking import PODS, SHOW, PrometheusApi, living
from lab.checks.driver import Driver
from lab.checks.verbs import becomes
from lab.objects import is_ready

READY_SECONDS = 60
SERIES = 'up{job="node"}'
"""Of machines, whose addresses stay: that of Prometheus' own pod does not."""


@dataclass(frozen=True)
class Killed:
    """When it was killed, in seconds since 1970, the pod that it ran in, and the series that must go on."""

    at: float
    uid: str
    series: str = SERIES


def kill(driver: Driver, prometheus: PrometheusApi) -> Killed:
    """kill -9, and its pod goes: one that was killed before waits up to five minutes to be started again."""
    pod = prometheus.pod
    at = time.time()
    driver.read(pod["spec"]["nodeName"], "pkill -KILL -x prometheus")
    driver.cluster.delete(f"{PODS}/{pod['metadata']['name']}?gracePeriodSeconds=0")
    return Killed(at, pod["metadata"]["uid"])


def ready_anew(driver: Driver, killed: Killed) -> float:
    """Wait for the new pod, and give back when it was Ready."""
    becomes(
        "Prometheus",
        lambda: [pod for pod in living(driver, "prometheus") if pod["metadata"]["uid"] != killed.uid],
        lambda pods: len(pods) == 1 and is_ready(pods[0]),
        within=READY_SECONDS,
        expected="a new pod that is Ready",
        command=SHOW,
    )
    return time.time()
