"""Machines that high availability or a person has moved to another hypervisor than the inventory's."""

from __future__ import annotations

import pytest

from lab.errors import FailedError, PlumblineError
from lab.machines import Power, State
from tests.doubles.pve.fixture import Double
from tests.doubles.pve.power import take_over
from tests.integration.pve.site import Site, SiteMaker, shared_snippets


def moved(lab: Site, name: str, node: str) -> None:
    """Somebody migrates a machine; the next command knows nothing of it."""
    lab.double.world.move(lab.vm(name), node)
    lab.again()


def test_a_machine_that_was_moved_by_hand_is_found_and_not_made_anew(site: SiteMaker) -> None:
    lab = site(workers=1)
    lab.build()
    assert lab.remarks() == []
    vm = lab.vm("worker-1")
    moved(lab, "worker-1", "pve-3")
    assert lab.provider.state("worker-1") is State.RUNNING
    (told,) = lab.remarks()
    assert told.startswith(f"hosts.worker-1.hypervisor: machine {vm.vmid} is on pve-3")
    assert f"on pve-3: qm migrate {vm.vmid} pve-1 --online --with-local-disks" in told
    assert "or write hypervisor: pve-3" in told
    lab.build()
    assert lab.own()["worker-1"] == [vm.vmid]
    assert lab.vm("worker-1").node == "pve-3", "a build leaves it where it is"
    lab.assert_converged()
    assert lab.provider.destroy("worker-1")
    assert list(lab.double.snippets.rglob("*worker-1*")) == [], "here and there"


def test_masters_that_came_together_are_told(site: SiteMaker) -> None:
    lab = site(workers=1)
    lab.build()
    moved(lab, "master-2", "pve-1")
    told = lab.remarks()
    assert len(told) == 2
    assert "master-1, master-2 are together on pve-1" in told[1]


def test_its_snippet_is_written_where_it_is_now(site: SiteMaker) -> None:
    """Who moves a machine does not move its snippet, and without it the next start fails."""
    lab = site(workers=1)
    lab.build()
    moved(lab, "worker-1", "pve-2")
    lab.provider.power("worker-1", Power.OFF)
    with pytest.raises(FailedError, match=r"can't open '/var/lib/vz/snippets/plumbline-site-worker-1\.yaml'"):
        lab.provider.power("worker-1", Power.ON)
    machine = lab.machine("worker-1")
    (sentence,) = lab.again().changes(machine)
    assert sentence == "snippet: not on pve-2 -> written there; the machine does not start without"
    assert lab.provider.create(machine)
    assert lab.again().changes(machine) == ()
    assert lab.provider.state("worker-1") is State.RUNNING
    assert (lab.double.snippets / "pve-2" / "plumbline-site-worker-1.yaml").is_file()


def test_a_folder_that_does_not_reach_its_new_place_is_told(pve: Double, site: SiteMaker) -> None:
    here = f"{{storage: local, folder: {pve.snippets}/pve-1}}"
    lab = site(workers=1, masters=1, snippets=here)
    lab.build()
    moved(lab, "haproxy", "pve-2")
    told = lab.remarks()
    assert [line.partition(":")[0] for line in told] == [
        "hosts.haproxy.hypervisor",
        f"proxmox.snippets.folder {pve.snippets}/pve-1",
    ]
    assert "write the folder with {node}" in told[1]


def test_high_availability_moves_a_machine_and_its_snippet_is_there(pve: Double, site: SiteMaker) -> None:
    pve.world.storages["local-lvm"].shared = True
    lab = site(workers=1, more="  ha: true", snippets=shared_snippets(pve))
    assert lab.problems() == []
    lab.build()
    vm = lab.vm("master-2")
    take_over(pve.world, "pve-2")
    assert lab.again().state("master-2") is State.RUNNING
    assert vm.node != "pve-2"
    told = lab.remarks()
    assert f"on any node: ha-manager migrate vm:{vm.vmid} pve-2" in told[0]
    lab.build()
    lab.assert_converged()


def test_high_availability_without_snippets_for_all_is_refused_for_it_would_not_start(
    pve: Double, site: SiteMaker
) -> None:
    pve.world.storages["local-lvm"].shared = True
    lab = site(workers=1, masters=1, more="  ha: true")
    (told,) = lab.problems()
    assert told.startswith("proxmox.snippets.storage local on pve-1: not shared")
    assert "name a shared storage with files" in told
    lab.build()
    take_over(pve.world, "pve-1")
    lab.again()
    assert lab.provider.state("haproxy") is State.OFF, "its node died, and no other one could start it"


def test_a_machine_of_a_dead_node_that_high_availability_has_not_moved_yet_is_waited_for(
    pve: Double, site: SiteMaker
) -> None:
    pve.world.storages["local-lvm"].shared = True
    lab = site(workers=1, masters=1, more="  ha: true", snippets=shared_snippets(pve))
    lab.build()
    pve.world.nodes["pve-1"].down = True
    with pytest.raises(PlumblineError, match="pve-1 is offline, so its state is unknown") as refused:
        lab.again().state("haproxy")
    assert "until high availability has started it on another node" in refused.value.next_step


def test_somebody_else_s_hypervisor_that_does_not_answer_stops_nobody(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    lab.double.add_foreign_vm(900, "family-nas", "pve-3")
    certificate = "error:0A000086:SSL routines::certificate verify failed"
    lab.double.world.faults.answer("GET", "/nodes/pve-3/.*", 596, certificate, times=1000)
    lab.build()
    lab.assert_converged()
    lab.double.world.faults.answer("GET", "/nodes/pve-1/.*", 596, certificate, times=1000)
    with pytest.raises(FailedError, match=r"596: .*does not trust the one that was asked for") as refused:
        lab.again().state("haproxy")
    assert "pvecm updatecerts" in refused.value.next_step
