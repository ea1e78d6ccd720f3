"""Layer cluster: nodes, control plane, etcd, certificates."""

from __future__ import annotations

import base64
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import IPv4Network

import pytest
import yaml
from cryptography import x509

from lab.checks import health
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outside import served_certificate
from lab.checks.verbs import agrees, becomes, holds, nothing, succeeds
from lab.checks.workspace import Object
from lab.inventory.models import Inventory

LEAF_LEFT = timedelta(days=30)
CA_LEFT = timedelta(days=365)
LEASE_SECONDS = 15.0
"""Lease duration of kube-controller-manager and kube-scheduler (component-base's default)."""


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
            ready = next(entry for entry in item["status"]["conditions"] if entry["type"] == "Ready")
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
    health.readyz(driver)


@pytest.mark.check("L2-03")
def test_etcd_has_three_voters_and_one_leader(driver: Driver) -> None:
    """etcd's members are the masters, all started and voting; one leads, none is behind, no alarm."""
    health.etcd_members(driver)


@pytest.mark.check("L2-04")
def test_etcd_members_hold_the_same_data(driver: Driver) -> None:
    """All members of etcd have the same hash at the same revision."""
    health.etcd_hashes(driver)


@pytest.mark.check("L2-05")
@pytest.mark.each("masters")
def test_etcd_checks_its_data(facts: Facts, host: str) -> None:
    """The running etcd compares its data with its peers' at start and after compactions."""
    manifest = yaml.safe_load(facts["manifests"].get("etcd.yaml", "{}")) or {}
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
    """Every pod of the platform is Running and Ready, or a done job's; none has restarted within a minute."""

    def look() -> dict[str, str]:
        now = datetime.now(UTC)
        found = {}
        for space in health.system_namespaces(driver.inventory):
            for pod in driver.cluster.items(f"/api/v1/namespaces/{space}/pods"):
                name = f"{space}/{pod['metadata']['name']}"
                if is_done(pod):
                    continue
                if pod["status"]["phase"] != "Running":
                    found[name] = pod["status"]["phase"]
                for state in pod["status"].get("containerStatuses", []):
                    if problem := restless(state, now):
                        found[name] = f"{state['name']}: {problem}"
        return found

    becomes(
        "pods of the platform",
        look,
        lambda unsteady: not unsteady,
        within=75,
        expected="all Running, Ready, not restarted within a minute",
        command="kubectl get pods -A -o wide",
    )


def is_done(pod: Object) -> bool:
    """Whether a pod is a job's, and has ended well: such a pod stays, and does not run."""
    owners = [owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])]
    return "Job" in owners and pod["status"]["phase"] == "Succeeded"


def restless(state: dict[str, object], now: datetime) -> str:
    """Why a container's status is not the one of a container that runs and stays; "" when it is."""
    waiting = state.get("state", {}).get("waiting")  # type: ignore[attr-defined]
    running = state.get("state", {}).get("running")  # type: ignore[attr-defined]
    if waiting:
        return f"{waiting.get('reason')}: {waiting.get('message', '')[:200]}"
    if not running:
        return "terminated"
    if not state["ready"]:
        return "not ready"
    last = state.get("lastState", {}).get("terminated") or {}  # type: ignore[attr-defined]
    if last.get("reason") == "OOMKilled":
        return "was killed for its memory"
    age = now - datetime.fromisoformat(running["startedAt"])
    if state["restartCount"] and age < timedelta(seconds=60):
        return f"restarted {age.total_seconds():.0f} s ago ({state['restartCount']} times in all)"
    return ""


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


@pytest.mark.check("L2-17")
@pytest.mark.each("nodes")
def test_certificates_are_valid_for_long(facts: Facts) -> None:
    """No certificate on the machine ends within 30 days, no CA within a year."""
    now = datetime.now(UTC)
    short = {}
    for path, text in facts["certificates"].items():
        pem = text if text.startswith("-----") else base64.b64decode(text).decode()
        certificate = x509.load_pem_x509_certificate(pem.encode())
        try:
            is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_ca = False
        if certificate.not_valid_after_utc - now < (CA_LEFT if is_ca else LEAF_LEFT):
            short[path] = f"until {certificate.not_valid_after_utc:%Y-%m-%d}"
        elif certificate.not_valid_before_utc > now:
            short[path] = f"not before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}"
    nothing(
        "certificates that end soon",
        short,
        rule="leaf 30 days, CA a year",
        command="kubeadm certs check-expiration",
    )
    holds(
        "certificates",
        bool(facts["certificates"]),
        expected="some",
        seen="none",
        command="ls /etc/kubernetes/pki",
    )


@pytest.mark.check("L2-17")
def test_every_master_has_the_same_authorities(driver: Driver) -> None:
    """Cluster, front-proxy and etcd CA are one each: every machine holds the same."""
    found: dict[str, dict[str, list[str]]] = {}
    for facts in driver.all_facts(driver.inventory.nodes):
        for path, text in facts["certificates"].items():
            if path.endswith("ca.crt"):
                print_ = x509.load_pem_x509_certificate(text.encode()).serial_number
                found.setdefault(path, {}).setdefault(f"{print_:x}", []).append(facts.host)
    several = {path: owners for path, owners in found.items() if len(owners) > 1}
    nothing(
        "authorities that differ",
        several,
        rule="one a file name",
        command="openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -serial",
    )


@pytest.mark.check("L2-17")
def test_the_served_certificate_names_all_endpoints(inventory: Inventory) -> None:
    """The certificate served by each master, and through the balancer, names balancer and all masters."""
    port = inventory.kubernetes.api_port
    names = {inventory.balancer, *inventory.masters}
    addresses = {str(inventory.hosts[name].address) for name in names}
    missing: dict[str, list[str]] = {}
    for host in (inventory.balancer, *inventory.masters):
        address = str(inventory.hosts[host].address)
        command = f"openssl s_client -connect {address}:{port} </dev/null"
        der = succeeds(f"certificate of {host}", partial(served_certificate, address, port), command=command)
        held = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
        said = set(held.value.get_values_for_type(x509.DNSName))
        said |= {str(item) for item in held.value.get_values_for_type(x509.IPAddress)}
        if lacking := sorted((names | addresses) - said):
            missing[host] = lacking
    nothing(
        "names missing in the certificates served by",
        missing,
        rule="none",
        command=f"openssl s_client -connect HOST:{port} </dev/null | openssl x509 -noout -ext subjectAltName",
    )


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
