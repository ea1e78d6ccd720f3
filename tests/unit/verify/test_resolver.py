"""L1-29 on recorded facts: C57, and whatever else a machine is told unasked about names."""

from __future__ import annotations

import pytest

from lab.checks.facts import RESOLVER, Facts, request_for
from lab.checks.resolver import Resolver, of_machine, of_pods, read
from lab.inventory.models import Inventory
from lab.render.bundle import bundle, pins
from lab.render.components import KUBELET_CONFIG
from lab.render.detected import POD_RESOLVER
from tests.fakes import CONTAINERS
from tests.world import INVENTORY, inventory

OWN = "nameserver 10.1.1.1\noptions timeout:1 attempts:1\n"
KUBELET = f"resolvConf: {POD_RESOLVER}\n"


@pytest.fixture
def lab() -> Inventory:
    return inventory()


def facts(machine: str = OWN, pods: str = OWN, kubelet: str = KUBELET) -> Facts:
    return Facts("worker-1", {"texts": {RESOLVER: machine, POD_RESOLVER: pods, KUBELET_CONFIG: kubelet}})


def test_a_resolver_file_is_read_as_libc_reads_it() -> None:
    text = "# nameserver 192.0.2.1\ndomain a.example\nsearch b.example. c.example\nnameserver 10.1.1.1\n"
    assert read(text) == Resolver(("10.1.1.1",), ("b.example", "c.example"))
    assert read("search .\nnameserver 10.1.1.1\n").search == ()
    assert read("") == Resolver((), ())


def test_c57_a_good_machine_is_as_the_inventory_says(lab: Inventory) -> None:
    of_machine(lab, facts())
    of_pods(lab, facts())


def test_the_inventorys_domains_are_searched_in_their_order() -> None:
    lab = inventory(
        INVENTORY.replace("gateway: 10.1.1.1", "gateway: 10.1.1.1, search_domains: [a.example, b.example]")
    )
    own = OWN + "search a.example b.example\n"
    of_machine(lab, facts(own))
    of_pods(lab, facts(pods=own))
    with pytest.raises(AssertionError, match="search list"):
        of_machine(lab, facts())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OWN + "search lab.example\n", "search list.*lab.example"),
        ("search .\n", "name servers.*at least one"),
        ("nameserver 127.0.0.53\n", "127.0.0.53"),
    ],
    ids=["c57", "nobody to ask", "loop"],
)
def test_c57_what_a_machine_was_told_by_somebody_else_is_named(lab: Inventory, text: str, says: str) -> None:
    with pytest.raises(AssertionError, match=f"(?s){says}"):
        of_machine(lab, facts(text))


def test_ubuntu_asks_its_own_listener_and_debian_does_not() -> None:
    text = INVENTORY.replace("provider: lxc", "provider: vagrant")
    lab = inventory(text.replace("address: 10.1.1.31,", "address: 10.1.1.31, os: ubuntu-24.04,"))
    stub = facts("nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n")
    of_machine(lab, stub)
    with pytest.raises(AssertionError, match="loopback"):
        of_machine(lab, Facts("worker-2", {"texts": stub.texts}))


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (facts(kubelet="maxPods: 110\n"), "resolvConf"),
        (facts(kubelet="resolvConf: /run/systemd/resolve/resolv.conf\n"), "/run/systemd/resolve"),
        (facts(pods="nameserver 192.0.2.53\n"), "name servers of pods.*192.0.2.53"),
        (facts(pods=OWN + "search lab.example\n"), "search list of pods.*lab.example"),
    ],
    ids=["not said", "of systemd-resolved", "another server", "c57"],
)
def test_pods_that_are_given_something_else_are_named(lab: Inventory, found: Facts, says: str) -> None:
    with pytest.raises(AssertionError, match=f"(?s){says}"):
        of_pods(lab, found)


@pytest.mark.parametrize("name", list(inventory().nodes))
def test_every_node_is_asked_for_what_is_judged(lab: Inventory, name: str) -> None:
    wanted = bundle(lab, CONTAINERS, pins(lab), name)
    assert {RESOLVER, POD_RESOLVER, KUBELET_CONFIG} <= {*request_for(lab, wanted)["texts"]}
    assert POD_RESOLVER in {file.path for file in wanted.files}
    assert wanted.kubelet["resolvConf"] == POD_RESOLVER
