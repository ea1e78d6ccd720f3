"""The firewall of a host: what it opens, and which rulesets are refused."""

from __future__ import annotations

import pytest

from lab.errors import FailedError, PreflightError
from lab.hosts.converge import HostFacts, compare
from lab.hosts.units import HeldUnit
from lab.inventory.loading import load
from lab.inventory.models import Inventory
from lab.providers.opening import traits_of
from lab.render import firewall
from lab.render.bundle import Bundle, bundle, pins
from tests.world import INVENTORY, inventory

OWN_PORTS = """
kubernetes: {api_port: 7443}
flannel: {port: 4789}
ssh: {networks: [10.20.0.0/16, 10.1.1.64/26]}
"""


def bundle_of(lab: Inventory, name: str) -> Bundle:
    return bundle(lab, traits_of(lab)[name], pins(lab), name)


def ruleset(lab: Inventory, name: str) -> str:
    return next(file.text for file in bundle_of(lab, name).files if file.path == firewall.FILE)


def opened(lab: Inventory, name: str) -> set[str]:
    """The lines that open a port."""
    return {line.strip() for line in ruleset(lab, name).splitlines() if line.strip().startswith("ip saddr @")}


def test_the_balancer_is_open_for_ssh_and_the_api_only() -> None:
    assert opened(inventory(), "haproxy") == {
        "ip saddr @operators tcp dport 22 accept",
        "ip saddr @operators tcp dport 6443 accept",
    }


def test_etcd_is_open_for_masters_and_a_worker_has_none() -> None:
    assert {
        "ip saddr @masters tcp dport 2379 accept",
        "ip saddr @masters tcp dport 2380 accept",
    } <= opened(inventory(), "master-1")
    assert not any("@masters" in line for line in opened(inventory(), "worker-1"))


def test_ports_of_the_cluster_roles_are_open_between_nodes() -> None:
    for name in ("master-2", "worker-2"):
        assert {
            "ip saddr @nodes udp dport 8472 accept",
            "ip saddr @nodes tcp dport 7946 accept",
            "ip saddr @nodes udp dport 7946 accept",
            "ip saddr @nodes tcp dport 10250 accept",
        } <= opened(inventory(), name)


def test_vagrant_reaches_its_own_machines_and_nobody_elses() -> None:
    """Else `vagrant up` waits in vain for a machine whose first boot was quick, as does `vagrant ssh`."""
    lab = load("production", provider="vagrant")
    for own in ("192.168.121.0/24", "10.0.2.0/24"):
        assert own in ruleset(lab, "master-1")
        assert own not in ruleset(inventory(), "master-1")


def test_ports_and_networks_are_the_inventorys() -> None:
    lab = inventory(INVENTORY + OWN_PORTS)
    assert "ip saddr @operators tcp dport 7443 accept" in opened(lab, "haproxy")
    assert "ip saddr @nodes udp dport 4789 accept" in opened(lab, "master-1")
    assert not any("6443" in line or "8472" in line for line in opened(lab, "master-1"))
    assert 7443 in {port.port for port in bundle_of(lab, "worker-1").closed}
    # a part of the LAN is no second member: nftables refuses intervals that overlap
    assert "elements = { 10.1.1.0/24, 10.20.0.0/16 }" in ruleset(lab, "haproxy")


def test_pods_reach_their_own_host_and_a_host_without_pods_has_no_such_rule() -> None:
    rule = 'iifname { "cni0", "flannel.1" } ip saddr 10.244.0.0/16 accept'
    assert rule in ruleset(inventory(), "worker-1")
    assert "cni0" not in ruleset(inventory(), "haproxy")


def test_forwarded_packets_and_other_tables_are_left_alone() -> None:
    text = ruleset(inventory(), "master-1")
    assert "hook forward" not in text
    assert [line for line in text.splitlines() if line.startswith(("flush", "delete"))] == [
        "delete table inet plumbline"
    ]


def test_a_unit_that_stops_removes_our_table_and_no_other() -> None:
    files = bundle_of(inventory(), "haproxy").files
    [unit] = [file.text for file in files if file.path.endswith("nftables.service.d/10-plumbline.conf")]
    stops = [line for line in unit.splitlines() if line.startswith("ExecStop=")]
    assert stops == ["ExecStop=", "ExecStop=/usr/sbin/nft delete table inet plumbline"]


PORTS = firewall.listening(inventory(), "master-1")
GOOD = ruleset(inventory(), "master-1")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("delete table inet plumbline", "flush ruleset", "flush ruleset"),
        ("delete table inet plumbline", "flush table ip nat", "flush table ip nat"),
        ("delete table inet plumbline", "delete table ip filter", "delete table ip filter"),
        ("delete table inet plumbline", "destroy table ip nat", "destroy table ip nat"),
        ("ip saddr @operators tcp dport 22 accept", "tcp dport 22 drop", "tcp dport 22 accept"),
        ("ct state established,related accept", "", "ct state established,related accept"),
        ('iifname "lo" accept', "", "lo"),
        ('iifname "lo" accept', "drop", "tcp dport 22 accept"),
        ("ip saddr @operators tcp dport 6443 accept", "", "tcp dport 6443"),
        ("ip saddr @masters tcp dport 2379 accept", "", "tcp dport 2379"),
        ("ip saddr @masters tcp dport 2380 accept", "", "tcp dport 2380"),
        ("ip saddr @nodes udp dport 8472 accept", "", "udp dport 8472"),
        ("ip saddr @nodes tcp dport 7946 accept", "# opened later", "tcp dport 7946"),
        ("ip saddr @nodes tcp dport 10250 accept", "reject", "tcp dport 10250"),
    ],
)
def test_a_ruleset_that_locks_out_or_destroys_is_refused(old: str, new: str, named: str) -> None:
    firewall.guard("master-1", GOOD, PORTS)
    assert old in GOOD
    with pytest.raises(FailedError, match="mend templates") as refused:
        firewall.guard("master-1", GOOD.replace(old, new, 1), PORTS)
    assert named in str(refused.value)
    assert "master-1" in str(refused.value)


def test_ports_without_ssh_are_refused() -> None:
    with pytest.raises(FailedError, match=r"SSH \(22\) is open for nobody"):
        firewall.guard("master-1", GOOD, [port for port in PORTS if port.port != 22])


def facts(client: str) -> HostFacts:
    wanted = bundle_of(inventory(), "haproxy")
    return HostFacts(
        files={file.path: None for file in wanted.files},
        sysctls=dict.fromkeys(wanted.sysctls, ""),
        units={unit.name: HeldUnit(active="active", enabled="enabled") for unit in wanted.units},
        exists={},
        client=client,
    )


def test_a_host_is_not_given_a_firewall_that_would_shut_us_out() -> None:
    wanted = bundle_of(inventory(), "haproxy")
    assert compare(wanted, facts("10.1.1.1"))
    assert compare(wanted, facts(""))
    with pytest.raises(PreflightError, match=r"(?s)we come from 192\.168\.7\.9.*ssh\.networks") as refused:
        compare(wanted, facts("192.168.7.9"))
    assert refused.value.message.startswith("haproxy: ")
