"""Faults that people reported of Proxmox VE, each under its number, as whole builds against the double."""

from __future__ import annotations

from lab.machines import State
from tests.integration.pve.site import SiteMaker

CLONE = "/nodes/[^/]+/qemu/[0-9]+/clone"
HELD = "can't lock file '/var/lock/qemu-server/lock-9000.conf' - got timeout"


def test_c22_six_machines_have_six_numbers_though_clones_meet_a_held_lock(site: SiteMaker) -> None:
    """A number is free until a clone has begun, and clones of one template exclude each other."""
    lab = site()
    assert len(lab.inventory.hosts) == 6
    lab.double.world.faults.answer("POST", CLONE, 500, HELD, times=3)
    lab.build()
    lab.assert_converged()
    numbers = [number for owned in lab.own().values() for number in owned]
    assert len(set(numbers)) == 6


def test_c19_nothing_is_touched_while_the_token_may_see_nothing(site: SiteMaker) -> None:
    """An empty world is no world without templates: rights are told first, and no template is missed."""
    lab = site(workers=1, masters=1)
    lab.double.world.access.acl.clear()
    told = lab.problems()
    assert told
    assert not any("template" in line for line in told)
    assert all("pveum" in line for line in told)
    assert lab.double.world.journal.writes() == []


def test_c57_every_machine_searches_the_inventorys_domains_on_whatever_node(site: SiteMaker) -> None:
    """One hypervisor is in a domain of its own and the other in none; no machine takes it over."""
    lab = site()
    first, *others = lab.double.world.nodes.values()
    first.search = "lab.example"
    assert all(node.search != "lab.example" for node in others)
    lab.build()
    told = {vm.name: vm.config["searchdomain"] for vm in lab.double.world.vms.values() if not vm.template}
    assert set(told) == set(lab.inventory.hosts)
    assert set(told.values()) == {"."}
    assert set(lab.provider.machines().values()) == {State.RUNNING}
