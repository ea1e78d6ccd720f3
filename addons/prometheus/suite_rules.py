"""The suite's copy of the alerts, which fire sixty times sooner, in the running Prometheus for a while.

They carry a label by which Alertmanager tells them to nobody (`section_rule_files.SHORT`).
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote

from addons.prometheus.asking import PODS, PrometheusApi
from addons.prometheus.section_config import NAMESPACE, expected_of
from addons.prometheus.section_rule_files import written_short
from lab.checks.driver import Driver
from lab.checks.verbs import becomes
from lab.cluster.kubeadm import KUBECTL
from lab.damage import Damage, Journal
from lab.objects import Object

MAP = f"/api/v1/namespaces/{NAMESPACE}/configmaps/prometheus-rules"
FILE = "suite.yaml"
LOADED_SECONDS = 120
MARK = "plumbline.local/looked"
"""An annotation of its pod: the kubelet brings ConfigMaps at once to a pod that changes."""


def without() -> Object:
    """The change of the ConfigMap that takes the copy out."""
    return {"data": {FILE: None}}


@contextmanager
def sooner(driver: Driver, prometheus: PrometheusApi) -> Iterator[None]:
    """The copy is loaded while the block runs. What a crash leaves is noted: the next command undoes it."""
    change = f"patch configmap prometheus-rules --type merge -p {quote(json.dumps(without()))}"
    repair = f"{KUBECTL} -n {NAMESPACE} {change}"
    journal, entry = Journal(driver.lab), Damage("suite-rules", driver.inventory.masters[0], repair)
    journal.add(entry)
    try:
        _brought(driver, prometheus, {"data": {FILE: written_short(expected_of(driver.inventory))}})
        _await(prometheus, loaded=True)
        yield
    finally:
        _brought(driver, prometheus, without())
        journal.remove(entry)
    _await(prometheus, loaded=False)


def _brought(driver: Driver, prometheus: PrometheusApi, change: Object) -> None:
    driver.cluster.request("PATCH", MAP, change)
    looked = str(time.time()) if change["data"][FILE] else None
    name = prometheus.pod["metadata"]["name"]
    driver.cluster.request("PATCH", f"{PODS}/{name}", {"metadata": {"annotations": {MARK: looked}}})


def _await(prometheus: PrometheusApi, *, loaded: bool) -> None:
    becomes(
        "the suite's rules in Prometheus",
        lambda: copies(prometheus.data("/api/v1/rules")),
        lambda found: bool(found) is loaded,
        within=LOADED_SECONDS,
        expected="loaded" if loaded else "gone",
        command=f"kubectl -n {NAMESPACE} get configmap prometheus-rules -o yaml",
    )


def copies(data: Object) -> list[str]:
    """The groups of an answer of /api/v1/rules that are the suite's, by their names."""
    return sorted(group["name"] for group in data["groups"] if str(group["file"]).endswith(f"/{FILE}"))
