"""Layer cluster: CoreDNS' replicas, and where it asks for names that are not the cluster's."""

from __future__ import annotations

import re
from ipaddress import ip_address

import pytest

from lab.checks.driver import Driver
from lab.checks.verbs import agrees, holds, nothing


@pytest.mark.check("L2-14")
def test_dns_runs_on_two_nodes(driver: Driver) -> None:
    """CoreDNS has at least two Ready replicas, on different nodes."""
    path = "/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns"
    nodes = [
        pod["spec"].get("nodeName", "nowhere")
        for pod in driver.cluster.items(path)
        if all(state["ready"] for state in pod["status"].get("containerStatuses", [{"ready": False}]))
    ]
    command = "kubectl -n kube-system get pods -l k8s-app=kube-dns -o wide"
    holds("Ready replicas of CoreDNS", len(nodes) >= 2, expected="two at least", seen=nodes, command=command)
    holds("their nodes", len(set(nodes)) >= 2, expected="two at least", seen=nodes, command=command)


@pytest.mark.check("L2-14")
def test_dns_does_not_ask_itself(driver: Driver) -> None:
    """CoreDNS passes what is not the cluster's on to the machine's resolver, never to itself."""
    item = driver.cluster.get("/api/v1/namespaces/kube-system/configmaps/coredns") or {"data": {}}
    service = driver.cluster.get("/api/v1/namespaces/kube-system/services/kube-dns") or {"spec": {}}
    lines = re.findall(r"^\s*forward\s.*$", item["data"].get("Corefile", ""), re.MULTILINE)
    command = "kubectl -n kube-system get configmap coredns -o yaml"
    agrees("Corefile: a place to forward to", bool(lines), True, command=command)
    own = service["spec"].get("clusterIP")
    loops = [line.strip() for line in lines if any(is_loop(word, own) for word in line.split()[2:])]
    nothing("Corefile: lines that lead back to CoreDNS", loops, rule="none", command=command)


def is_loop(target: str, own: str | None) -> bool:
    """Whether a target of `forward` is this machine or the cluster's own DNS."""
    text = target.removeprefix("dns://").partition(":")[0]
    try:
        return text == own or ip_address(text).is_loopback
    except ValueError:
        return False
