"""Layer cluster: nodes, control plane, etcd."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Network

import pytest
import yaml

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.platform import unsteady_pods
from lab.checks.verbs import agrees, becomes, nothing, settles, succeeds
from lab.inventory.models import Inventory
from lab.objects import condition

LEASE_SECONDS = 15.0
"""Lease duration of kube-controller-manager and kube-scheduler (component-base's default)."""
SETTLE_SECONDS = 10
"""In which what is asked of several members, one after the other, must agree: a busy machine asks slowly."""


@pytest.mark.check("L2-01")
def test_the_nodes_are_the_inventorys(driver: Driver) -> None:
    """The nodes are exactly the inventory's, Ready, with the right role, architecture and address."""
    health.nodes(driver)


@pytest.mark.check("L2-01")
def test_no_node_has_just_become_ready(driver: Driver) -> None:
    """Every node has been Ready for a minute."""

    def look() -> dict[str, str]:
        now = datetime.now(UTC)
        young = {}
        for item in driver.cluster.items("/api/v1/nodes"):
            ready = condition(item, "Ready")
            since = now - datetime.fromisoformat(ready["lastTransitionTime"])
            if ready["status"] != "True" or since < timedelta(seconds=60):
                young[item["metadata"]["name"]] = f"{ready['status']} for {since.total_seconds():.0f} s"
        return young

    becomes(
        "nodes that are not Ready for a minute",
        look,
        lambda young: not young,
        within=75,
        expected="none",
        command=health.NODES,
    )


@pytest.mark.check("L2-02")
def test_every_api_server_is_ready(driver: Driver) -> None:
    """Every API server is ready, directly and through the balancer, with every named check ok."""
    settles(partial(health.readyz, driver), within=SETTLE_SECONDS)


@pytest.mark.check("L2-03")
def test_etcd_has_three_voters_and_one_leader(driver: Driver) -> None:
    """etcd's members are the masters, all started and voting; one leads, none is behind, no alarm."""
    settles(partial(health.etcd_members, driver), within=SETTLE_SECONDS)


@pytest.mark.check("L2-04")
def test_etcd_members_hold_the_same_data(driver: Driver) -> None:
    """All members of etcd have the same hash at the same revision."""
    health.etcd_hashes(driver)


@pytest.mark.check("L2-05")
@pytest.mark.each("masters")
def test_etcd_checks_its_data(facts: Facts, host: str) -> None:
    """The running etcd compares its data with its peers' at start and after compactions."""
    manifest = yaml.safe_load(facts.manifests.get("etcd.yaml", "{}")) or {}
    command = manifest.get("spec", {}).get("containers", [{}])[0].get("command", [])
    wanted = ["--experimental-compact-hash-check-enabled=true", "--experimental-initial-corrupt-check=true"]
    seen = sorted(flag for flag in command if flag.partition("=")[0] in {w.partition("=")[0] for w in wanted})
    agrees("flags of etcd", seen, wanted, command="cat /etc/kubernetes/manifests/etcd.yaml", host=host)


@pytest.mark.check("L2-07")
@pytest.mark.parametrize("component", ["kube-controller-manager", "kube-scheduler"])
def test_one_master_leads_each_controller(driver: Driver, component: str) -> None:
    """The component's lease is held by a master and was renewed within its duration."""
    address, port = (
        str(driver.inventory.hosts[driver.inventory.balancer].address),
        driver.inventory.kubernetes.api_port,
    )
    command = f"kubectl -n kube-system get lease {component} -o yaml"

    def look() -> tuple[str, float]:
        spec = health.lease(driver, component)
        renewed = datetime.fromisoformat(spec.get("renewTime") or "1970-01-01T00:00:00Z").timestamp()
        now = succeeds("the API's clock", lambda: driver.cluster.clock(address, port), within=5)
        return health.holder_of(spec) or "nobody", now - renewed

    becomes(
        f"lease of {component} (holder, seconds since it was renewed)",
        look,
        lambda state: state[0] in driver.inventory.masters and state[1] < LEASE_SECONDS,
        within=5,
        expected=f"a master, less than {LEASE_SECONDS:g} s",
        command=command,
    )


@pytest.mark.check("L2-08")
def test_system_pods_run_and_stay(driver: Driver) -> None:
    """Every pod of the platform is Ready, or a job's that has ended; none has restarted within a minute."""

    def look() -> dict[str, str]:
        return unsteady_pods(health.system_pods(driver), datetime.now(UTC))

    becomes(
        "pods of the platform",
        look,
        lambda unsteady: not unsteady,
        within=75,
        expected="all Running, Ready, not restarted within a minute",
        command="kubectl get pods -A -o wide",
    )


@pytest.mark.check("L2-09")
def test_every_node_has_its_own_part_of_the_pod_subnet(driver: Driver, inventory: Inventory) -> None:
    """Pod CIDRs of the nodes are unique, of the declared size and inside the pod subnet."""
    parts = {
        item["metadata"]["name"]: item["spec"].get("podCIDRs", [])
        for item in driver.cluster.items("/api/v1/nodes")
    }
    command = "kubectl get nodes -o custom-columns=N:.metadata.name,CIDR:.spec.podCIDRs"
    wrong = {}
    for name, networks in parts.items():
        if len(networks) != 1:
            wrong[name] = f"{len(networks)} pod CIDRs"
            continue
        network = IPv4Network(networks[0])
        if (
            not network.subnet_of(inventory.kubernetes.pod_subnet)
            or network.prefixlen != inventory.kubernetes.node_mask
        ):
            wrong[name] = networks[0]
    rule = f"one /{inventory.kubernetes.node_mask} of {inventory.kubernetes.pod_subnet} each"
    nothing("pod CIDRs", wrong, rule=rule, command=command)
    shared = [
        cidr for cidr, number in Counter(cidr for c in parts.values() for cidr in c).items() if number > 1
    ]
    nothing("pod CIDRs of several nodes", shared, rule="none", command=command)


@pytest.mark.check("L2-15")
def test_no_certificate_request_waits(driver: Driver) -> None:
    """No certificate signing request is pending."""
    pending = [
        f"{item['metadata']['name']} of {item['spec']['username']}"
        for item in driver.cluster.items("/apis/certificates.k8s.io/v1/certificatesigningrequests")
        if not item.get("status", {}).get("conditions")
    ]
    nothing("pending requests", pending, rule="none", command="kubectl get csr")


@pytest.mark.check("L2-16")
def test_versions_are_the_inventorys(driver: Driver, inventory: Inventory) -> None:
    """API server and every kubelet report the inventory's version."""
    wanted = inventory.kubernetes.version
    agrees(
        "API server",
        driver.cluster.request("GET", "/version")["gitVersion"],
        wanted,
        command="kubectl version",
    )
    others = {
        item["metadata"]["name"]: item["status"]["nodeInfo"]["kubeletVersion"]
        for item in driver.cluster.items("/api/v1/nodes")
        if item["status"]["nodeInfo"]["kubeletVersion"] != wanted
    }
    nothing("kubelets of another version", others, rule=wanted, command=health.NODES)


@pytest.mark.check("L2-18")
def test_masters_are_kept_free_of_workloads(driver: Driver, inventory: Inventory) -> None:
    """Masters carry the NoSchedule taint, workers carry none."""
    taints = {
        item["metadata"]["name"]: [f"{t['key']}:{t['effect']}" for t in item["spec"].get("taints", [])]
        for item in driver.cluster.items("/api/v1/nodes")
    }
    wanted = {name: [f"{health.CONTROL_PLANE}:NoSchedule"] for name in inventory.masters}
    wanted |= {name: [] for name in inventory.workers}
    wrong = {name: held for name, held in taints.items() if held != wanted.get(name)}
    nothing("taints", wrong, rule="NoSchedule on masters, none on workers", command="kubectl describe nodes")


@pytest.mark.check("L2-20")
def test_kube_proxy_works_in_the_declared_mode(driver: Driver, inventory: Inventory) -> None:
    """kube-proxy's configuration has the inventory's mode."""
    item = driver.cluster.get("/api/v1/namespaces/kube-system/configmaps/kube-proxy") or {"data": {}}
    config = yaml.safe_load(item["data"].get("config.conf", "{}")) or {}
    command = "kubectl -n kube-system get configmap kube-proxy -o yaml"
    agrees("mode of kube-proxy", config.get("mode"), inventory.kubernetes.proxy_mode, command=command)
