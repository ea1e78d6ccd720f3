"""Layer render: what the inventory means, judged without a lab."""

from __future__ import annotations

import itertools
import math
import re
import tomllib
from typing import Any

import pytest
import yaml

from lab.checks.driver import Driver
from lab.checks.outcomes import NotPartOfLab
from lab.checks.verbs import agrees, holds, nothing
from lab.inventory.addon_sections import of_lab
from lab.inventory.models import Inventory
from lab.render import kubeadm
from lab.render.bundle import Bundle, bundle
from lab.runs import SECRETS

LEFTOVER = re.compile(r"\{\{|\}\}|\{%|%\}|<no value>")
SECRET = kubeadm.JoinSecrets(token="", ca_hash="", certificate_key="")


def text_of(bundle: Bundle, path: str) -> str:
    """A rendered file of a host."""
    return next(file.text for file in bundle.files if file.path == path)


def cluster_configuration(driver: Driver) -> dict[str, Any]:
    """kubeadm's ClusterConfiguration as the first master would be given it."""
    master = driver.inventory.masters[0]
    text = kubeadm.init(driver.inventory, driver.traits[master], driver.pins, master)
    documents = [document for document in yaml.safe_load_all(text) if document]
    found: dict[str, Any] = next(item for item in documents if item["kind"] == "ClusterConfiguration")
    return found


def arguments(section: dict[str, Any]) -> dict[str, str]:
    """extraArgs of a section of kubeadm's v1beta4 documents."""
    return {item["name"]: item["value"] for item in section.get("extraArgs", [])}


@pytest.mark.check("L0-01")
@pytest.mark.each("all")
def test_no_template_marker_is_left_in_a_file(driver: Driver, host: str) -> None:
    """Every file of the host renders, and no template marker is left in it."""
    left = [file.path for file in driver.bundles[host].files if LEFTOVER.search(file.text)]
    nothing("files with template markers", left, rule="none", command="invoke render")


@pytest.mark.check("L0-02")
@pytest.mark.each("all")
def test_rendering_twice_gives_the_same_bytes(driver: Driver, host: str) -> None:
    """Rendering the host twice gives the same bytes."""
    again = bundle(driver.inventory, driver.traits[host], driver.pins, host)
    changed = [a.path for a, b in zip(driver.bundles[host].files, again.files, strict=True) if a != b]
    nothing("files that differ between two renders", changed, rule="none", command="invoke render")


@pytest.mark.check("L0-06")
@pytest.mark.each("balancer")
def test_the_balancer_has_a_checked_server_for_each_master(driver: Driver, host: str) -> None:
    """HAProxy has one checked server a master behind a TCP frontend on the API port."""
    inventory, text = driver.inventory, text_of(driver.bundles[host], "/etc/haproxy/haproxy.cfg")
    port = inventory.kubernetes.api_port
    servers = re.findall(r"^\s*server (\S+) (\S+)", text, re.MULTILINE)
    masters = [(name, f"{inventory.hosts[name].address}:{port}") for name in inventory.masters]
    # checked ones, and the same without checks for when none is ready
    agrees("servers", servers, masters + masters)
    holds("mode", bool(re.search(r"^\s*mode tcp$", text, re.MULTILINE)), expected="tcp", seen="another")
    holds(
        "checks", "default-server check" in text, expected="every server is checked", seen="no default check"
    )
    bind = re.search(r"^\s*bind (\S+)", text, re.MULTILINE)
    agrees("frontend", bind.group(1) if bind else "none", inventory.endpoint)


@pytest.mark.check("L0-07")
@pytest.mark.each("balancer")
def test_the_balancer_waits_long_enough_for_idle_streams(driver: Driver, host: str) -> None:
    """HAProxy connects fast, asks /readyz over TLS, and ends connections by silence alone."""
    text = text_of(driver.bundles[host], "/etc/haproxy/haproxy.cfg")
    # a frontend that speaks HTTP itself (an add-on's) holds no streams
    sections = re.split(r"^(?=\w)", text, flags=re.MULTILINE)
    streams = "".join(one for one in sections if not re.search(r"^\s+mode http$", one, re.MULTILINE))
    timeouts = {key: int(value) for key, value in re.findall(r"timeout (\S+) (\d+)s", streams)}
    # HAProxy waits for ever where no time-out is given
    connect, tunnel = timeouts.get("connect", math.inf), timeouts.get("tunnel", 0)
    limit = 5 * driver.inventory.patience
    holds("timeout connect", connect <= limit, expected=f"at most {limit:g} s", seen=connect)
    agrees("timeouts of client and server", timeouts.get("client"), timeouts.get("server"))
    # HTTP/2 clients ping an idle connection after 30 s; shorter timeouts cut watches and `logs -f`
    client = timeouts.get("client", 0)
    holds("timeout client", client >= 35, expected="at least 35 s", seen=client)
    holds("timeout tunnel", tunnel >= 3600, expected="at least 3600 s", seen=tunnel)
    holds("check path", "uri /readyz" in text, expected="GET /readyz", seen=text)
    holds("check transport", "http-check connect ssl" in text, expected="over TLS", seen=text)
    # a failed check is a slow answer as often as a death: a starved API server lost every client by it
    cut = re.findall(r"on-marked-down.*", text)
    nothing("words that cut connections by a check", cut, rule="none: tcp-ut ends those of a silent machine")
    silent = [int(value) for value in re.findall(r"default-server .*tcp-ut (\d+)ms", text)]
    agrees("tcp-ut of the two backends (ms)", silent, [driver.inventory.api_checks.silence] * 2)


@pytest.mark.check("L0-08")
@pytest.mark.each("all")
def test_no_file_of_ours_flushes_all_firewall_rules(driver: Driver, host: str) -> None:
    """No rendered file flushes the whole ruleset, which would remove kube-proxy's and Flannel's rules."""
    flushing = [file.path for file in driver.bundles[host].files if "flush ruleset" in file.text]
    nothing("files with `flush ruleset`", flushing, rule="none", command="invoke render")


@pytest.mark.check("L0-09")
def test_no_two_networks_overlap(inventory: Inventory) -> None:
    """LAN, pods and services are disjoint, and ranges that are handed out lie in the LAN and hold no host."""
    ranges = {
        "network.lan": inventory.network.lan,
        "kubernetes.pod_subnet": inventory.kubernetes.pod_subnet,
        "kubernetes.service_subnet": inventory.kubernetes.service_subnet,
    }
    clashes = [
        f"{a} {ranges[a]} and {b} {ranges[b]}"
        for a, b in itertools.combinations(ranges, 2)
        if ranges[a].overlaps(ranges[b])
    ]
    nothing("overlapping networks", clashes, rule="none", command="invoke validate")
    hosts = {host.address: name for name, host in inventory.hosts.items()}
    handed_out = (item for _, section in of_lab(inventory) for item in section.lan_ranges(inventory))
    for item in handed_out:
        addresses = item.addresses
        outside = [end for end in (addresses.first, addresses.last) if end not in inventory.network.lan]
        nothing(f"ends of {item.what} outside the LAN", outside, rule="none")
        inside = [name for address, name in hosts.items() if address in addresses]
        nothing(f"hosts inside {item.what}", inside, rule="none", command="invoke validate")


@pytest.mark.check("L0-10")
@pytest.mark.check("L0-11")
def test_the_subnets_are_large_enough(inventory: Inventory) -> None:
    """Service and pod subnets have kubeadm's sizes, and every node's part holds its pods."""
    cluster = inventory.kubernetes
    pods, services, mask = cluster.pod_subnet, cluster.service_subnet, cluster.node_mask
    holds(
        "service_subnet",
        services.num_addresses >= 10 and services.prefixlen >= 12,
        expected="10 to 2^20",
        seen=services,
    )
    holds("pod_subnet", pods.num_addresses >= 14, expected="at least 14 addresses", seen=pods)
    holds(
        "node_mask", 0 <= mask - pods.prefixlen <= 16, expected="0 to 16 bits longer", seen=f"{pods}, /{mask}"
    )
    parts = 2 ** (mask - pods.prefixlen)
    holds("parts of the pod subnet", parts >= len(inventory.nodes), expected="one a node", seen=parts)
    room = 2 ** (32 - mask) - 2
    holds("addresses of a node", room >= cluster.max_pods, expected=f"at least {cluster.max_pods}", seen=room)


@pytest.mark.check("L0-12")
def test_the_masters_can_lose_one(inventory: Inventory) -> None:
    """There is an odd number of masters, three at least."""
    if inventory.kubernetes.single_master:
        raise NotPartOfLab("kubernetes.single_master", "this lab has one master and no high availability")
    number = len(inventory.masters)
    holds("masters", number >= 3 and number % 2 == 1, expected="odd, at least 3", seen=number)


@pytest.mark.check("L0-10")
def test_kubeadm_is_given_the_networks(driver: Driver) -> None:
    """kubeadm's document has the inventory's pod and service networks."""
    found, wanted = cluster_configuration(driver)["networking"], driver.inventory.kubernetes
    agrees("podSubnet", found["podSubnet"], str(wanted.pod_subnet))
    agrees("serviceSubnet", found["serviceSubnet"], str(wanted.service_subnet))


@pytest.mark.check("L0-15")
def test_nodes_may_be_silent_for_longer_than_a_dead_connection(driver: Driver) -> None:
    """A node may be silent for longer than a dead HTTP/2 connection takes to be noticed."""
    value = arguments(cluster_configuration(driver)["controllerManager"])["node-monitor-grace-period"]
    # until the first ping of an idle connection, and for its answer (kubernetes#121793)
    dead = sum(int(text) for text in driver.inventory.client_environment.values())
    holds(
        "node-monitor-grace-period",
        int(value.removesuffix("s")) >= dead + 5,
        expected=f"at least {dead + 5}s",
        seen=value,
    )


@pytest.mark.check("L0-16")
@pytest.mark.each("nodes")
def test_containerd_is_told_what_the_kubelet_expects(driver: Driver, host: str) -> None:
    """containerd's document has version 2, systemd cgroups for runc and the pinned pause image."""
    document = tomllib.loads(text_of(driver.bundles[host], "/etc/containerd/config.toml"))
    agrees("version", document["version"], 2)
    cri = document["plugins"]["io.containerd.grpc.v1.cri"]
    agrees("SystemdCgroup", cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"], True)
    agrees("sandbox_image", cri["sandbox_image"], driver.pins.images["pause"])


@pytest.mark.check("L0-21")
def test_kubeadm_waits_as_patiently_as_the_lab(driver: Driver) -> None:
    """kubeadm's time-outs are its own times the lab's patience, in each document that can hold them."""
    master, worker = driver.inventory.masters[0], driver.inventory.workers[0]
    # the second is another lab's, so that a lab with kubeadm's own times proves something too
    for factor in (driver.inventory.patience, driver.inventory.patience + 1):
        lab = driver.inventory.model_copy(update={"patience": factor})
        wanted = {"timeouts": {key: f"{round(value * factor)}s" for key, value in kubeadm.TIMEOUTS.items()}}
        texts = {
            "init.yaml": kubeadm.init(lab, driver.traits[master], driver.pins, master),
            "join.yaml": kubeadm.join(lab, driver.traits[worker], driver.pins, worker, SECRET),
            "upgrade.yaml": kubeadm.upgrade(lab, driver.traits[master]),
        }
        for name, text in texts.items():
            document = next(yaml.safe_load_all(text))
            seen = {key: value for key, value in document.items() if key == "timeouts"}
            agrees(f"{name} for patience {factor:g}", seen, {} if factor == 1 else wanted)


@pytest.mark.check("L0-19")
@pytest.mark.each("all")
def test_no_secret_is_in_a_rendered_file(driver: Driver, host: str) -> None:
    """No rendered file holds a token, a certificate key or a private key."""
    holding = [file.path for file in driver.bundles[host].files if SECRETS.search(file.text)]
    nothing("files that look like they hold a secret", holding, rule="none", command="invoke render")


@pytest.mark.check("L2-05")
def test_etcd_is_told_to_check_its_data(driver: Driver) -> None:
    """etcd is told to compare its data with its peers' at start and after compactions."""
    given = arguments(cluster_configuration(driver)["etcd"]["local"])
    wanted = {"experimental-initial-corrupt-check": "true", "experimental-compact-hash-check-enabled": "true"}
    agrees("flags of etcd", {key: given.get(key) for key in wanted}, wanted)
