"""Seeded defects follow the inventory: on another lab's networks and ports they hit what they hit here."""

from __future__ import annotations

import re
from dataclasses import asdict
from ipaddress import ip_address, ip_network

import pytest

from addons.flannel.section import Flannel, overlay
from addons.metallb.section import MetalLB
from lab.checks.objects import HTTP, UDP
from lab.inventory import load
from lab.inventory.addon_sections import domain
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.providers.opening import traits_of
from lab.render.bundle import bundle, pins
from lab.render.detected import CLUSTER_DNS
from lab.selftest.catalogue import catalogue
from lab.selftest.defect import Breakage

HERE = load("rehearsal")
ELSEWHERE = parse(
    """
lab: elsewhere
provider: lxc
disposable: true
network: {lan: 172.20.4.0/23, gateway: 172.20.4.1}
kubernetes: {api_port: 7443, pod_subnet: 10.64.0.0/14, service_subnet: 10.32.0.0/16, dns_domain: k8s.internal}
flannel: {vni: 7, port: 4789}
metallb: {pools: [{name: default, addresses: [172.20.5.100-172.20.5.150]}]}
ingress: {address: 172.20.5.100}
hosts:
  haproxy: {role: load-balancer, address: 172.20.4.50}
  master-1: {role: control-plane, address: 172.20.4.11}
  master-2: {role: control-plane, address: 172.20.4.12}
  master-3: {role: control-plane, address: 172.20.4.13}
  worker-1: {role: worker, address: 172.20.4.31}
  worker-2: {role: worker, address: 172.20.4.32}
""",
    "elsewhere.yaml",
)
"""Names of hosts as in the rehearsal, every network, port and number another one."""
DNS = 53
FREE = [ip_network(net) for net in ("127.0.0.0/8", "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]
"""The loopback, and what is nobody's (RFC 5737)."""
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\\?\.\d{1,3}){3}(?![\d.])")


def values(lab: Inventory) -> dict[str, str]:
    """What an inventory gives that a text could hold, by what it is; longer ones first."""
    pool = lab.section(MetalLB).pools[0]
    found = {f"address of {name}": str(host.address) for name, host in lab.hosts.items()}
    found |= {
        "service of the DNS": str(lab.kubernetes.service_subnet[CLUSTER_DNS]),
        "service of the API": str(lab.kubernetes.service_subnet[1]),
        "link of the overlay": overlay(lab),
        "port of the overlay": str(lab.section(Flannel).port),
        "port of the API": str(lab.kubernetes.api_port),
        "pods": str(lab.kubernetes.pod_subnet),
        "a network around that of the pods": str(lab.kubernetes.pod_subnet.supernet()),
        "domain": lab.kubernetes.dns_domain,
        "name nobody of the ingress": f"nobody.{domain(lab)}",
        "LAN": str(lab.network.lan),
        "length of the LAN": str(lab.interface(lab.balancer)),
        "gateway": str(lab.network.gateway),
        "pool": str(pool.addresses[0]),
        "last address of the pool": str(pool.addresses[-1].last),
    }
    found |= {f"address {number} of the pool": str(pool.addresses[0].first + number) for number in range(9)}
    return dict(sorted(found.items(), key=lambda item: len(item[1]), reverse=True))


def neutral(text: str, lab: Inventory) -> str:
    """A text with the names of values in the place of a lab's own, escaped for a pattern or not."""
    for name, value in values(lab).items():
        for written in (value, re.escape(value)):
            text = re.sub(rf"(?<![\w.]){re.escape(written)}(?![\w])", f"<{name}>", text)
    return text


def texts(lab: Inventory) -> dict[str, dict[str, str]]:
    """All that the defects of a lab say and do, by defect and field."""
    return {
        defect.name: {key: value for key, value in asdict(defect).items() if isinstance(value, str)}
        for defect in catalogue(lab)
    }


@pytest.mark.parametrize("name", [defect.name for defect in catalogue(HERE)])
def test_a_defect_is_the_same_on_a_lab_with_other_networks_and_ports(name: str) -> None:
    here, there = texts(HERE)[name], texts(ELSEWHERE)[name]
    for field, text in here.items():
        assert neutral(text, HERE) == neutral(there[field], ELSEWHERE), field


def test_no_defect_names_an_address_that_its_lab_has_not() -> None:
    own = [ELSEWHERE.network.lan, ELSEWHERE.kubernetes.pod_subnet, ELSEWHERE.kubernetes.service_subnet]
    strange = {
        f"{defect.name}: {found}"
        for defect in catalogue(ELSEWHERE)
        if isinstance(defect, Breakage)
        for text in (defect.says, defect.damage, defect.repair)
        for found in ADDRESS.findall(text)
        if not any(ip_address(found.replace("\\", "")) in net for net in (*own, *FREE))
    }
    assert strange == set()


def test_what_is_cut_is_what_the_lab_listens_on() -> None:
    """Ports that a defect's packet filter names are open on its machine, or are those of pods."""
    images, traits = pins(ELSEWHERE), traits_of(ELSEWHERE)
    bundles = {name: bundle(ELSEWHERE, traits[name], images, name) for name in ELSEWHERE.hosts}
    cut = {
        (defect.name, defect.place, int(port))
        for defect in catalogue(ELSEWHERE)
        if isinstance(defect, Breakage)
        for port in re.findall(r"dport (\d+) (?:reject|drop)", defect.damage)
    }
    assert {name for name, _, _ in cut} >= {"member-port-closed", "api-server-silent"}
    pods = {HTTP, UDP, DNS}
    missed = {item for item in cut if item[2] not in pods | {port.port for port in bundles[item[1]].listen}}
    assert missed == set()


def test_links_of_defects_are_those_of_the_lab() -> None:
    damage = "\n".join(defect.damage for defect in catalogue(ELSEWHERE) if isinstance(defect, Breakage))
    assert set(re.findall(r"flannel\.\d+", damage)) == {"flannel.7"}
    assert "6443" not in damage
