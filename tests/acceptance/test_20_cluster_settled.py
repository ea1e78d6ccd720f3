"""Layer cluster: what was settled when the cluster was born is what the inventory says."""

from __future__ import annotations

import pytest

from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import CouldNotTell
from lab.checks.static_manifests import are_kubeadms
from lab.checks.verbs import agrees, nothing
from lab.cluster.deviations import told
from lab.cluster.settled import Living, compare, configuration_in
from lab.hosts.settled import look
from lab.inventory.models import Inventory
from lab.render.kubeadm import init

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
MANIFESTS = "/etc/kubernetes/manifests"


@pytest.fixture(scope="module")
def living(driver: Driver) -> Living:
    """What the masters and the API tell of the cluster; a part that nobody tells is `CouldNotTell`."""
    found = look(driver.lab.ssh, driver.inventory.masters)
    if found.silent:
        raise CouldNotTell("; ".join(found.silent.values()), next_step="invoke status")
    if found.documents is None:
        raise CouldNotTell("no API server tells its own configuration", next_step="invoke status")
    return found


@pytest.mark.check("P2-04")
def test_the_cluster_is_as_the_inventory_says(driver: Driver, inventory: Inventory, living: Living) -> None:
    """kubeadm's and kube-proxy's ConfigMap, nodes, flags and certificates have the inventory's values."""
    master = inventory.masters[0]
    wanted = configuration_in(init(inventory, driver.traits[master], driver.pins, master))
    nothing(
        "settings of the cluster's birth",
        told(compare(inventory, wanted, living)),
        rule="as in the inventory",
        command="invoke plan --of reconfigure",
    )


@pytest.mark.check("P2-05")
@pytest.mark.each("masters")
def test_a_master_starts_each_static_pod_once(living: Living, host: str) -> None:
    """The kubelet reads one manifest for each part of the control plane, and each runs once."""
    master = living.masters[host]
    files = sorted(master.files)
    agrees(
        "manifests of static pods",
        files,
        [f"{name}.yaml" for name in COMPONENTS],
        command=f"ls {MANIFESTS}",
        host=host,
    )
    runs = {name: len(master.running.get(name, ())) for name in COMPONENTS}
    agrees("processes of static pods", runs, dict.fromkeys(COMPONENTS, 1), command="ps -C etcd", host=host)


@pytest.mark.check("P2-40")
@pytest.mark.each("masters")
def test_static_pods_are_what_kubeadm_makes(driver: Driver, facts: Facts, living: Living, host: str) -> None:
    """Manifests and processes of the control plane have each flag and field that kubeadm gives them."""
    are_kubeadms(driver, facts, living.masters[host])
