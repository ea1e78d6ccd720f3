"""What kubelet and kube-proxy run with, as they tell it themselves at /configz.

A file or a ConfigMap that is right says nothing of a process that has read another one, which was put back
since, or that has not read it yet. Of Kubernetes 1.31: cmd/kubelet/app/server.go (setConfigz) tells the words
of v1beta1, cmd/kube-proxy/app/server.go (newProxyServer) those of the internal type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from lab.checks.configured import given, over, unlike
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import becomes, present
from lab.hosts.settled import KUBE_PROXY
from lab.own_yaml import loads
from lab.render.components import KUBELET_CONFIG, kube_proxy_settings
from lab.render.firewall import port_of

STARTING_SECONDS = 15
"""A process that was started a moment ago does not answer yet; what runs with other settings goes on so."""
_OF_A_MODE = ("syncPeriod", "minSyncPeriod")


def kubelet_runs_as_declared(driver: Driver, facts: Facts) -> None:
    """The running kubelet has every declared value, and each that kubeadm has written into its file."""
    host = facts.host
    written = given(loads(facts.texts[KUBELET_CONFIG] or "") or {})
    wanted = over(written, driver.bundles[host].kubelet)
    path = f"/api/v1/nodes/{host}/proxy/configz"

    def look() -> list[str]:
        return list(unlike(wanted, _part(driver.cluster.request("GET", path), "kubeletconfig", host)))

    _agree("settings with which the kubelet runs", look, f"kubectl get --raw {path}", host)


def kube_proxy_runs_as_declared(driver: Driver, host: str) -> None:
    """The kube-proxy of a node runs with what is declared, and for the rest with what its ConfigMap says."""
    item = driver.cluster.get(KUBE_PROXY)
    held = present("ConfigMap kube-proxy", item, expected="there", seen="not there")
    document = given(loads(held["data"]["config.conf"]))
    wanted = internal(over(document, kube_proxy_settings(driver.inventory, driver.traits[host])))
    port = port_of(driver.inventory, "kube-proxy's metrics")
    url = f"http://127.0.0.1:{port}/configz"

    def look() -> list[str]:
        told = json.loads(driver.page(host, url))
        return list(unlike(wanted, _part(told, "kubeproxy.config.k8s.io", host)))

    _agree("settings with which kube-proxy runs", look, f"curl {url}", host)


def internal(document: Mapping[str, Any]) -> dict[str, Any]:
    """A KubeProxyConfiguration as kube-proxy has it inside (pkg/proxy/apis/config/v1alpha1/conversion.go)."""
    found = dict(document)
    mode = str(found.get("mode") or "iptables")
    linux: dict[str, Any] = {name: found.pop(name) for name in ("conntrack", "oomScoreAdj") if name in found}
    for name in ("iptables", "ipvs", "nftables"):
        part = dict(found.pop(name, {}))
        masquerade = part.pop("masqueradeAll", None)
        periods = {key: part.pop(key) for key in _OF_A_MODE if key in part}
        if name == mode:
            found |= periods
            linux |= {} if masquerade is None else {"masqueradeAll": masquerade}
        found |= {name: part} if part else {}
    if "clusterCIDR" in found:
        networks = str(found.pop("clusterCIDR")).split(",")
        found["detectLocal"] = {**found.get("detectLocal", {}), "clusterCIDRs": networks}
    return found | ({"linux": linux} if linux else {})


def _part(told: Mapping[str, Any], name: str, host: str) -> Mapping[str, Any]:
    """The settings in an answer of /configz, by the name under which the program tells them."""
    part = told.get(name)
    if not isinstance(part, Mapping):
        raise CouldNotTell(f"{host}: /configz tells no {name}", next_step=f"invoke ssh {host}")
    return part


def _agree(subject: str, look: Callable[[], list[str]], command: str, host: str) -> None:
    becomes(
        subject,
        look,
        lambda found: not found,
        within=STARTING_SECONDS,
        expected="as declared",
        command=command,
        host=host,
    )
