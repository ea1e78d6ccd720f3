"""Layer node: files, programs, units' settings and ports of each machine."""

from __future__ import annotations

import re
from concurrent.futures import Future
from fnmatch import fnmatch

import pytest
import yaml

from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outside import knock
from lab.checks.verbs import agrees, holds, nothing
from lab.inventory.models import Inventory
from lab.inventory.rules.ports import NODE_PORTS
from lab.render.bundle import Bundle
from lab.render.components import KUBELET_CONFIG
from lab.render.firewall import port_of


@pytest.mark.check("P1-01")
@pytest.mark.each("all")
def test_files_are_as_rendered(driver: Driver, facts: Facts, host: str) -> None:
    """Every file of the machine's roles has the rendered content, owner and mode; none is left over."""
    rendered = {file.path for file in driver.bundles[host].files}
    wrong = {
        path: "no longer part of the inventory"
        for path in facts.files
        if path not in rendered and any(fnmatch(path, owned) for owned in driver.bundles[host].owned)
    }
    for wanted in driver.bundles[host].files:
        found = facts.files[wanted.path]
        if found is None:
            wrong[wanted.path] = "missing"
            continue
        differs = [
            f"{name} {seen}, not {right}"
            for name, seen, right in (
                ("content", found.sha256[:12], wanted.digest[:12]),
                ("owner", found.owner, wanted.owner),
                ("mode", found.mode, wanted.mode),
            )
            if seen != right
        ]
        if differs:
            wrong[wanted.path] = "; ".join(differs)
    nothing("files", wrong, rule="as the roles render them", command="invoke plan")


@pytest.mark.check("P1-02")
@pytest.mark.each("all")
def test_packages_and_programs_are_there(driver: Driver, facts: Facts, host: str) -> None:
    """Every package of the machine's roles is installed, every program is at its path and may be run."""
    missing = {name: status or "unknown" for name, status in facts.packages.items() if status != "ii"}
    nothing("packages", missing, rule="installed (ii)", command="dpkg -l")
    wrong = {}
    for binary in driver.bundles[host].binaries:
        found = facts.files[binary.path]
        if found is None or found.mode != "0755" or found.owner != "root:root":
            wrong[binary.path] = f"{found.mode} {found.owner}" if found else "missing"
    nothing("programs", wrong, rule="0755 root:root", command="ls -l /usr/local/bin /opt/cni/bin")


@pytest.mark.check("L1-13")
@pytest.mark.each("nodes")
def test_programs_have_the_pinned_versions(inventory: Inventory, facts: Facts) -> None:
    """containerd, kubelet, kubeadm and kubectl have exactly the inventory's versions."""
    said = facts.versions
    seen = {
        name: match.group(0) if (match := re.search(r"\bv?\d+\.\d+\.\d+", text)) else text
        for name, text in said.items()
    }
    seen["kubectl"] = (
        match.group(1) if (match := re.search(r'"gitVersion": "([^"]+)"', said["kubectl"])) else "none"
    )
    wanted = dict.fromkeys(("kubeadm", "kubectl", "kubelet"), inventory.kubernetes.version)
    wanted["containerd"] = inventory.containerd.version
    agrees(
        "versions",
        {name: text.removeprefix("v") for name, text in sorted(seen.items())},
        {name: text.removeprefix("v") for name, text in sorted(wanted.items())},
        command="kubelet --version; kubeadm version; kubectl version --client; containerd --version",
    )


@pytest.mark.check("L1-15")
@pytest.mark.each("nodes")
def test_kubelet_and_containerd_agree_on_cgroups(driver: Driver, facts: Facts) -> None:
    """The kubelet uses the systemd cgroup driver and containerd's running configuration the same."""
    document = facts.texts[KUBELET_CONFIG]
    holds(KUBELET_CONFIG, bool(document), expected="written by kubeadm", seen="missing")
    driver_name = yaml.safe_load(document or "{}").get("cgroupDriver")
    agrees(
        "cgroupDriver of the kubelet", driver_name, "systemd", command=f"grep cgroupDriver {KUBELET_CONFIG}"
    )
    agrees("SystemdCgroup of containerd", facts.runtime.systemd_cgroup, True, command="crictl info")
    agrees("sandbox image", facts.runtime.sandbox_image, driver.pins.images["pause"], command="crictl info")


def not_listening(bundle: Bundle, facts: Facts) -> list[str]:
    """Ports of the roles on which nothing listens, or nothing where it must."""
    silent = []
    for port in bundle.listen:
        addresses = set(facts.listens(port.port, port.protocol))
        # what listens at an address of its own is not the program that has the same port elsewhere
        others = {other.only_at for other in bundle.listen if other != port and other.port == port.port}
        if not (addresses & {port.only_at} if port.only_at else addresses - others):
            silent.append(f"{port.port}/{port.protocol}" + (f" on {port.only_at}" if port.only_at else ""))
    return silent


@pytest.mark.check("L1-16")
@pytest.mark.each("masters")
def test_a_master_listens_where_it_must(driver: Driver, facts: Facts, host: str) -> None:
    """API server, etcd, kubelet, controller manager and scheduler listen; etcd's metrics only locally.

    Where an add-on leads to them from the LAN, it has the machine's address there, and etcd still loopback.
    """
    nothing("silent ports", not_listening(driver.bundles[host], facts), rule="none", command="ss -lntup")
    metrics = port_of(driver.inventory, "etcd's metrics")
    declared = {port.only_at or "127.0.0.1" for port in driver.bundles[host].listen if port.port == metrics}
    seen = sorted(facts.listens(metrics, "tcp"))
    agrees(f"addresses of {metrics}", seen, sorted(declared), command=f"ss -lnt sport = :{metrics}")


@pytest.mark.check("L1-17")
@pytest.mark.each("workers")
def test_a_worker_listens_where_it_must(driver: Driver, facts: Facts, host: str) -> None:
    """kubelet and kube-proxy listen, and no other program sits on a NodePort."""
    nothing("silent ports", not_listening(driver.bundles[host], facts), rule="none", command="ss -lntup")
    # kube-proxy itself listens there for the health checks of services with the local traffic policy
    taken = [
        f"{item.port} ({item.process})"
        for item in facts.sockets
        if item.port in NODE_PORTS and item.process != "kube-proxy"
    ]
    nothing("sockets on NodePorts", taken, rule="kube-proxy's alone", command="ss -lntup")


@pytest.mark.check("L1-17")
@pytest.mark.each("balancer")
def test_the_balancer_listens_where_it_must(driver: Driver, facts: Facts, host: str) -> None:
    """The balancer's ports are open."""
    nothing("silent ports", not_listening(driver.bundles[host], facts), rule="none", command="ss -lntup")


@pytest.fixture(scope="session")
def closed_ports(driver: Driver) -> dict[str, Future[dict[int, str]]]:
    """What comes of connecting to the ports that the roles close, by address."""
    wanted = {
        str(host.address): [port.port for port in driver.bundles[name].closed if port.protocol == "tcp"]
        for name, host in driver.inventory.hosts.items()
    }
    return knock(wanted, seconds=1)


@pytest.mark.check("L1-18")
@pytest.mark.each("all")
def test_closed_ports_are_closed(
    driver: Driver, facts: Facts, closed_ports: dict[str, Future[dict[int, str]]], host: str
) -> None:
    """No port that the roles close is listening, seen on the machine and from outside."""
    closed = driver.bundles[host].closed
    listening = [f"{p.port}/{p.protocol}" for p in closed if facts.listens(p.port, p.protocol)]
    nothing("open ports", listening, rule="closed", command="ss -lntup")
    address = str(driver.inventory.hosts[host].address)
    reached = sorted(port for port, answer in closed_ports[address].result().items() if answer == "open")
    nothing(f"ports of {address} that answer", reached, rule="closed", command=f"nc -vz {address} PORT")
