"""What add-ons bring to machines is known to the checks of what nobody declared, without an edit of them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.checks.folders import hold_what_is_declared
from lab.checks.modes import are_declared, asked
from lab.checks.undeclared import is_nowhere
from lab.inventory.models import Inventory
from lab.render.bundle import Bundle, bundle, pins
from tests.fakes import CONTAINERS
from tests.host_survey import states, surveyed
from tests.unit.beside.test_folders import entry
from tests.unit.beside.test_undeclared import link, mount, route, socket, unit
from tests.world import INVENTORY, inventory

UNIT = "/etc/systemd/system/{}.service"


@pytest.fixture(scope="module")
def lab() -> Inventory:
    return inventory(INVENTORY + "observability: {}\n")


@pytest.fixture(scope="module")
def master(lab: Inventory) -> Bundle:
    return bundle(lab, CONTAINERS, pins(lab), "master-1")


def judge(lab: Inventory, wanted: Bundle, **more: Any) -> None:
    address = lab.addresses[wanted.host]
    good = [
        socket("tcp", "0.0.0.0", 22, "sshd"),
        socket("tcp", address, 9100, "node_exporter", unit="node-exporter.service"),
        socket("tcp", address, 2381, "systemd"),
        socket("tcp", address, 2381, "systemd-socket-", unit="metrics-relay@2381.service"),
        socket("tcp", "127.0.0.1", 2381, "etcd", pod=True),
        socket("tcp", "127.0.0.1", 10257, "kube-controller", pod=True),
    ]
    links = [link("lo", "127.0.0.1/8"), link("eth0", str(lab.interface(wanted.host)), kind="veth")]
    units = [
        unit("node-exporter.service", UNIT.format("node-exporter")),
        unit("certificate-metrics.service", UNIT.format("certificate-metrics"), enabled="static"),
        unit("metrics-relay@2381.socket", "/etc/systemd/system/metrics-relay@.socket"),
        unit("metrics-relay@2381.service", UNIT.format("metrics-relay@"), enabled="static"),
    ]
    survey = surveyed(
        wanted,
        sockets=[*good, *more.get("sockets", ())],
        network={
            "links": links,
            "routes": [route("default", via="10.1.1.1"), route("10.1.1.0/24")],
            "rules": [{"priority": number, "table": "main"} for number in (0, 32766, 32767)],
        },
        mounts=[mount("/", "overlay"), mount("/run/credentials/node-exporter.service", "ramfs")],
        units=[*units, *more.get("units", ())],
    )
    is_nowhere(lab, wanted, CONTAINERS, survey)


def test_sockets_and_units_of_an_add_on_are_declared(lab: Inventory, master: Bundle) -> None:
    judge(lab, master)


@pytest.mark.parametrize(
    ("item", "says"),
    [
        (socket("tcp", "0.0.0.0", 9100, "node_exporter"), "declared for 10.1.1.11 alone"),
        (socket("tcp", "0.0.0.0", 2381, "etcd", pod=True), "declared for loopback and 10.1.1.11 alone"),
        (socket("tcp", "10.244.0.1", 10257, "socat"), "declared for loopback and 10.1.1.11 alone"),
        (socket("tcp", "10.1.1.11", 8404, "haproxy"), "no role declares that port"),
    ],
    ids=["everywhere", "etcd beyond loopback", "another address", "a balancer's"],
)
def test_a_declared_port_on_another_address_is_named(
    lab: Inventory, master: Bundle, item: dict[str, Any], says: str
) -> None:
    with pytest.raises(AssertionError, match=f"(?s)what nobody declared.*{says}"):
        judge(lab, master, sockets=[item])


def test_units_that_stay_when_the_add_on_has_left_are_named() -> None:
    bare = inventory()
    with pytest.raises(AssertionError, match=r"(?s)unit node-exporter\.service: of /etc/systemd/system"):
        judge(bare, bundle(bare, CONTAINERS, pins(bare), "master-1"))


def test_figures_that_nobody_declared_are_named(master: Bundle) -> None:
    folder = "/var/lib/node-exporter"
    own = [entry(f"{folder}/certificates.prom")]
    hold_what_is_declared(master, CONTAINERS, surveyed(master, entries=own))
    stranger = [*own, entry(f"{folder}/mine.prom")]
    with pytest.raises(AssertionError, match=f"{folder}/mine.prom.*is read by node_exporter"):
        hold_what_is_declared(master, CONTAINERS, surveyed(master, entries=stranger))


def test_a_key_that_others_can_read_is_named(master: Bundle) -> None:
    (own,) = master.certificates
    assert own.folder in asked(master)
    good = states(master) | {own.key: {"kind": "file", "mode": "0600", "owner": "root:root"}}
    are_declared(master, surveyed(master, states=good))
    for damaged in ({"mode": "0640"}, {"owner": "nobody:root"}):
        with pytest.raises(AssertionError, match=own.key):
            are_declared(master, surveyed(master, states=good | {own.key: good[own.key] | damaged}))
