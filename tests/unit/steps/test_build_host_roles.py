"""An add-on with roles of machines joins a living lab by a plain build, and leaves it by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.artifacts.stock import Stock
from lab.inventory.models import Inventory
from tests.fakes import FULL_MACHINES
from tests.unit.steps.building import built, plan, said
from tests.world import INVENTORY, World, inventory

pytestmark = pytest.mark.usefixtures("nothing_unplanned")
KEY = "/etc/node-exporter/tls/tls.key"
RECORDS = "/var/lib/plumbline/addons"


@pytest.fixture
def observed() -> Inventory:
    return inventory(INVENTORY + "observability: {}\n")


def change(world: World, wanted: Inventory) -> dict[str, tuple[str, ...]]:
    """The plan of another inventory for the lab that stands."""
    world.inventory = wanted
    context = world.build()
    try:
        return said(plan(context))
    finally:
        context.run.close()


def hosts_are_left_alone(world: World) -> None:
    context = world.build()
    assert {name: told for name, told in said(plan(context)).items() if name in world.hosts} == {}
    context.run.close()


def test_a_new_lab_gets_its_keys_after_the_first_boot(tmp_path: Path, observed: Inventory) -> None:
    world = World(tmp_path, observed)
    first = change(world, observed)
    assert "make its keys and certificates" in first["haproxy"]
    built(world)
    for host in world.hosts.values():
        assert KEY in host.written
        assert host.units["node-exporter.service"] == {"active": "active", "enabled": "enabled"}
    hosts_are_left_alone(world)


def test_the_section_is_added_to_a_living_lab_and_taken_out_again(world: World, observed: Inventory) -> None:
    built(world)
    before = {name: set(host.files) for name, host in world.hosts.items()}
    told = change(world, observed)
    assert "start metrics-relay@2381.socket (it is inactive)" in told["master-1"]
    assert any(line.startswith(f"make {KEY}") for line in told["haproxy"])
    assert "write /etc/haproxy/haproxy.cfg; then reload haproxy" in told["haproxy"]
    assert not any("kubeadm" in line for lines in told.values() for line in lines)
    built(world)
    hosts_are_left_alone(world)
    told = change(world, inventory())
    left = "add-on prometheus left the inventory"
    assert f"stop and disable metrics-relay@10249.socket: {left}" in told["worker-1"]
    assert f"remove /etc/systemd/system/metrics-relay@.socket: {left}" in told["worker-1"]
    assert "remove /usr/local/bin/node_exporter: add-on node-exporter left the inventory" in told["haproxy"]
    assert f"remove {RECORDS}/node-exporter.json" in told["haproxy"]
    built(world)
    assert {name: set(host.files) for name, host in world.hosts.items()} == before
    assert not any(KEY in host.written for host in world.hosts.values())
    hosts_are_left_alone(world)


def test_a_machine_that_gets_its_programs_over_ssh_says_both(world: World, observed: Inventory) -> None:
    world.provider.traits = FULL_MACHINES
    world.inventory = observed
    context = world.build()
    context.stocks = {"amd64": Stock({}, {})}
    assert said(plan(context))["worker-1"][1:3] == (
        "bring its programs and images",
        "make its keys and certificates",
    )
    context.run.close()
