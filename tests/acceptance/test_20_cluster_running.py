"""Layer cluster: what runs on nodes has read what is written, and is of the node's part of the network."""

from __future__ import annotations

import pytest

from lab.checks.configz import kube_proxy_runs_as_declared, kubelet_runs_as_declared
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.older_pods import are_of_the_newest_template
from lab.checks.running import (
    components_have_read_their_certificates,
    network_is_of_the_nodes_part,
    pods_have_the_nodes_resolver,
)


@pytest.mark.check("L2-17")
@pytest.mark.each("masters")
def test_components_have_read_their_certificates(driver: Driver, host: str) -> None:
    """Each component of the control plane runs with the certificates and keys that lie there now."""
    components_have_read_their_certificates(driver, host)


@pytest.mark.check("P2-21")
@pytest.mark.each("nodes")
def test_the_network_is_of_the_nodes_part(driver: Driver, host: str) -> None:
    """Bridge, overlay and routes of the node are those of the parts that the cluster gives the nodes."""
    network_is_of_the_nodes_part(driver, host)


@pytest.mark.check("P2-22")
@pytest.mark.each("nodes")
def test_pods_have_the_nodes_resolver(driver: Driver, host: str) -> None:
    """Pods that ask for names as their node does have the name servers and domains of now."""
    pods_have_the_nodes_resolver(driver, host)


@pytest.mark.check("P2-41")
@pytest.mark.each("nodes")
def test_the_kubelet_runs_with_the_declared_settings(driver: Driver, facts: Facts) -> None:
    """The kubelet that runs, asked itself, has every declared value and each of its file."""
    kubelet_runs_as_declared(driver, facts)


@pytest.mark.check("P2-42")
@pytest.mark.each("nodes")
def test_kube_proxy_runs_with_the_declared_settings(driver: Driver, host: str) -> None:
    """The kube-proxy that runs, asked itself, has every declared value and each of its ConfigMap."""
    kube_proxy_runs_as_declared(driver, host)


@pytest.mark.check("P2-43")
def test_pods_are_of_their_workloads_newest_template(driver: Driver) -> None:
    """Each pod of the platform is what its DaemonSet, Deployment or StatefulSet would make now."""
    are_of_the_newest_template(driver)
