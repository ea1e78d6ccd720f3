"""What add-ons bring to machines: in the bundles of labs that have them, and in no other."""

from __future__ import annotations

import json

import pytest

from lab.inventory.models import Inventory
from lab.render import firewall
from lab.render.bundle import Bundle, bundle, pins
from lab.render.firewall import port_of, relayed
from lab.render.kubeadm import init, join
from lab.render.outputs import PLACEHOLDER
from lab.render.record import PATTERN
from tests.fakes import CONTAINERS
from tests.world import INVENTORY, inventory

OBSERVED = INVENTORY + "observability: {}\n"
RELAYS = {"worker-1": [10249], "master-1": [2381, 10249, 10257, 10259]}


@pytest.fixture
def lab() -> Inventory:
    return inventory(OBSERVED)


def bundle_of(lab: Inventory, name: str) -> Bundle:
    return bundle(lab, CONTAINERS, pins(lab), name)


def text(wanted: Bundle, path: str) -> str:
    return next(file.text for file in wanted.files if file.path == path)


def test_a_lab_without_the_section_has_nothing_of_it() -> None:
    for name in ("haproxy", "master-1", "worker-1"):
        wanted = bundle_of(inventory(), name)
        everything = json.dumps([[file.path, file.text] for file in wanted.files])
        assert not any(word in everything for word in ("node_exporter", "metrics-relay", "prometheus"))
        assert wanted.certificates == ()
        assert {item.artifact for item in wanted.of_addons} <= {"flannel"}
        assert not {port.port for port in wanted.listen} & {9100, 8404}
        assert wanted.owned[-1] == PATTERN, "what an earlier inventory left is told"


def test_every_machine_has_node_exporter_and_lets_nodes_alone_at_it(lab: Inventory) -> None:
    for name, host in lab.hosts.items():
        wanted = bundle_of(lab, name)
        unit = text(wanted, "/etc/systemd/system/node-exporter.service")
        port = port_of(lab, "node_exporter")
        assert f"--web.listen-address={host.address}:{port} " in unit
        assert "node-exporter.service" in {item.name for item in wanted.units}
        assert "/usr/local/bin/node_exporter" in {item.path for item in wanted.of_addons}
        lines = text(wanted, firewall.FILE)
        assert [line.strip() for line in lines.splitlines() if f"dport {port} " in line] == [
            f"ip saddr @nodes tcp dport {port} accept"
        ]
        assert "elements = { 10.1.1.11, 10.1.1.12, 10.1.1.13, 10.1.1.31, 10.1.1.32 }" in lines


def test_its_certificate_is_for_the_machine_and_the_service_and_its_client_is_prometheus(
    lab: Inventory,
) -> None:
    wanted = bundle_of(lab, "master-2")
    (item,) = wanted.certificates
    assert item.names == ("master-2.test.internal", "node-exporter.test.internal")
    web = text(wanted, "/etc/node-exporter/web.yml")
    assert 'client_allowed_sans: ["prometheus-client.test.internal"]' in web
    assert "client_auth_type: RequireAndVerifyClientCert" in web
    assert f"client_ca_file: {item.authority}" in web
    assert f"LoadCredential=tls.key:{item.key}\n" in text(wanted, "/etc/systemd/system/node-exporter.service")


@pytest.mark.parametrize("name", ["worker-1", "master-1"])
def test_relays_are_on_the_machines_address_beside_what_stays_on_loopback(lab: Inventory, name: str) -> None:
    wanted = bundle_of(lab, name)
    assert sorted(relayed(lab, name)) == RELAYS[name]
    for number in RELAYS[name]:
        ports = [port for port in wanted.listen if port.port == number]
        assert [(port.only_at, port.sources) for port in ports] == [
            ("", ()),
            (lab.addresses[name], ("nodes",)),
        ], "loopback first, as the platform's role says"
        assert f"metrics-relay@{number}.socket" in {unit.name for unit in wanted.units}
    socket = text(wanted, "/etc/systemd/system/metrics-relay@.socket")
    assert f"ListenStream={lab.addresses[name]}:%i\n" in socket


def test_kubeadm_is_told_that_a_relays_port_is_taken_and_nothing_else(lab: Inventory) -> None:
    without = inventory()
    for name in ("master-1", "worker-1"):
        ignored = ", ".join(f'"Port-{number}"' for number in RELAYS[name])
        now = join(lab, CONTAINERS, pins(lab), name, PLACEHOLDER)
        assert now.replace(f", {ignored}]", "]", 1) == join(
            without, CONTAINERS, pins(without), name, PLACEHOLDER
        )
    now = init(lab, CONTAINERS, pins(lab), "master-1")
    plain = now.replace(', "Port-2381", "Port-10249", "Port-10257", "Port-10259"', "", 1)
    assert plain == init(without, CONTAINERS, pins(without), "master-1"), "nothing that is settled at birth"


def test_the_balancer_tells_of_itself_at_the_end_of_its_own_file(lab: Inventory) -> None:
    path, without = "/etc/haproxy/haproxy.cfg", inventory()
    before = text(bundle_of(without, "haproxy"), path)
    now = text(bundle_of(lab, "haproxy"), path)
    assert now.startswith(before)
    port = port_of(lab, "HAProxy's metrics")
    assert f"    bind 10.1.1.50:{port}\n" in now[len(before) :]
    assert "http-request use-service prometheus-exporter if { path /metrics }" in now[len(before) :]


def test_a_record_says_all_that_an_add_on_makes_on_a_machine(lab: Inventory) -> None:
    wanted = bundle_of(lab, "master-1")
    exporter = json.loads(text(wanted, "/var/lib/plumbline/addons/node-exporter.json"))
    assert exporter["units"][0] == "node-exporter.service"
    assert "certificate-metrics.service" in exporter["units"], "it is started by its timer"
    assert exporter["folders"] == ["/etc/node-exporter/tls", "/var/lib/node-exporter"]
    assert exporter["programs"] == ["/usr/local/bin/node_exporter"]
    prometheus = json.loads(text(wanted, "/var/lib/plumbline/addons/prometheus.json"))
    assert prometheus["units"] == [f"metrics-relay@{number}.socket" for number in (10249, 2381, 10257, 10259)]
    recorded = {path for found in (exporter, prometheus) for path in found["files"]}
    bare = {file.path for file in bundle_of(inventory(), "master-1").files}
    made = {file.path for file in wanted.files} - bare
    assert {path for path in made if not path.startswith("/var/lib/plumbline/addons/")} == recorded
    names = {file.path for file in bundle_of(lab, "haproxy").files}
    assert "/var/lib/plumbline/addons/prometheus.json" not in names, "there it makes nothing of its own"
