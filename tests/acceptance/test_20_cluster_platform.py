"""Layer cluster: what the platform itself runs: workloads, services, settings of kubelets and static pods."""

from __future__ import annotations

import re

import pytest
import yaml

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.platform import lacking_workloads
from lab.checks.verbs import becomes, nothing
from lab.inventory.models import Inventory
from lab.objects import Object
from lab.render.components import KUBELET_CONFIG, kubelet_settings

OF_EACH_MASTER = ("--initial-cluster", "--initial-cluster-state")
"""Flags of etcd that tell of the moment at which a member joined."""


@pytest.mark.check("L2-08")
def test_every_workload_of_the_platform_is_ready_by_its_own_rule(driver: Driver) -> None:
    """Deployments and StatefulSets have all replicas, DaemonSets all of their nodes, Jobs are complete."""
    spaces = health.system_namespaces(driver.inventory)
    becomes(
        "workloads that are not ready",
        lambda: lacking_workloads(driver.cluster, spaces),
        lambda found: not found,
        within=20,
        expected="none",
        command="kubectl get deployments,statefulsets,daemonsets,jobs -A",
    )


@pytest.mark.check("P2-01")
def test_every_service_of_the_platform_has_endpoints(driver: Driver) -> None:
    """The API's own service has exactly the masters behind it, every other one a ready pod."""
    masters = sorted(str(driver.inventory.hosts[name].address) for name in driver.inventory.masters)

    def wrong() -> dict[str, str]:
        found = {}
        for space in ("default", *health.system_namespaces(driver.inventory)):
            held = ready_addresses(driver, space)
            for item in driver.cluster.items(f"/api/v1/namespaces/{space}/services"):
                name = item["metadata"]["name"]
                seen = held.get(name, [])
                if (space, name) == ("default", "kubernetes"):
                    if seen != masters:
                        found[f"{space}/{name}"] = f"{', '.join(seen)}, not {', '.join(masters)}"
                elif item["spec"].get("selector") and space != "default" and not seen:
                    found[f"{space}/{name}"] = "none"
        return found

    becomes(
        "ready endpoints of services",
        wrong,
        lambda found: not found,
        within=10,
        expected="the masters for the API, one at least for others",
        command="kubectl get endpointslices -A",
    )


def ready_addresses(driver: Driver, space: str) -> dict[str, list[str]]:
    """Ready addresses behind each service of a namespace."""
    found: dict[str, list[str]] = {}
    for piece in driver.cluster.items(f"/apis/discovery.k8s.io/v1/namespaces/{space}/endpointslices"):
        name = piece["metadata"]["labels"].get("kubernetes.io/service-name", "")
        held = found.setdefault(name, [])
        for endpoint in piece.get("endpoints") or []:
            if endpoint.get("conditions", {}).get("ready", True):
                held += endpoint["addresses"]
        held.sort()
    return found


@pytest.mark.check("P2-02")
@pytest.mark.each("nodes")
def test_kubelets_have_the_declared_settings(driver: Driver, facts: Facts, inventory: Inventory) -> None:
    """The kubelet's settings hold every value that the inventory and its machine ask for."""
    held = yaml.safe_load(facts.texts[KUBELET_CONFIG] or "") or {}
    wanted = kubelet_settings(inventory, driver.lab.provider.traits_of(facts.host))
    wrong = {key: held.get(key) for key, value in wanted.items() if held.get(key) != value}
    rule = ", ".join(f"{key}: {wanted[key]}" for key in wrong) or "as declared"
    nothing("settings of the kubelet", wrong, rule=rule, command=f"cat {KUBELET_CONFIG}")


@pytest.mark.check("P2-03")
def test_static_pods_are_alike_on_every_master(driver: Driver, inventory: Inventory) -> None:
    """Every master starts the same static pods with the same flags, but for its own name and address."""
    held: dict[str, list[str]] = {}
    for facts in driver.all_facts(inventory.masters):
        own = {facts.host: "NAME", str(inventory.hosts[facts.host].address): "ADDRESS"}
        for file, text in facts.manifests.items():
            for flag in flags_of(yaml.safe_load(text)):
                for word, placeholder in own.items():
                    flag = re.sub(rf"(?<![\w.]){re.escape(word)}(?![\w.])", placeholder, flag)
                held.setdefault(f"{file}: {flag}", []).append(facts.host)
    odd = {flag: f"on {', '.join(on)} only" for flag, on in held.items() if len(on) < len(inventory.masters)}
    nothing(
        "flags of static pods that differ",
        odd,
        rule="alike on every master",
        command="tail -n +1 /etc/kubernetes/manifests/*.yaml",
    )


def flags_of(pod: Object) -> list[str]:
    """Image and flags of a static pod's container."""
    container = pod["spec"]["containers"][0]
    flags = [flag for flag in container["command"] if flag.partition("=")[0] not in OF_EACH_MASTER]
    return [f"image {container['image']}", *flags]
