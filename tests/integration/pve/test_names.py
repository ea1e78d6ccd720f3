"""Names before rights, VNets as bridges, room on nodes and storages: what preflight says on the double."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.labs import Lab
from lab.providers.proxmox.rights import needs
from lab.providers.proxmox.section import Proxmox
from lab.steps.preflight import examine
from tests.doubles.pve.fixture import IMAGE, ROLE, Double
from tests.doubles.pve.sizes import GIB
from tests.doubles.pve.state import Vnet
from tests.integration.pve.site import Site, SiteMaker, opened
from tests.integration.pve.test_interrupted import grant_only


def subjects(lab: Site) -> list[str]:
    return [line.partition(":")[0] for line in lab.problems()]


def renamed(lab: Site, old: str, new: str) -> Site:
    """The same lab, its machines on a hypervisor of another name."""
    hosts = {
        name: host.model_copy(update={"hypervisor": new}) if host.hypervisor == old else host
        for name, host in lab.inventory.hosts.items()
    }
    hypervisors = {new if name == old else name: item for name, item in lab.inventory.hypervisors.items()}
    lab.inventory = lab.inventory.model_copy(update={"hosts": hosts, "hypervisors": hypervisors})
    lab.again()
    return lab


def least(lab: Site, *, major: int = 8) -> Site:
    """The same lab with a token that has what `invoke proxmox.role` prints, and nothing else."""
    grant_only(lab.double.world.access, needs(lab.inventory, lab.inventory.section(Proxmox), major))
    return lab


@pytest.mark.parametrize("rights", ["all", "least", "none"])
@pytest.mark.parametrize("written", ["pve-1.example.test", "pve1"])
def test_a_node_s_name_is_told_before_its_rights(site: SiteMaker, rights: str, written: str) -> None:
    """A DNS name reaches a hypervisor, and the API answers 596 to it: a name no right is ever held on."""
    lab = site(workers=1, masters=1)
    lab.double.world.other_names.add("pve-1.example.test")
    if rights == "least":
        least(lab)
    if rights == "none":
        lab.double.world.access.acl.clear()
    renamed(lab, "pve-1", written)
    told = lab.problems()
    assert told[0].startswith(f"hypervisors.{written}: unknown to this cluster")
    assert told[0].endswith("fix: write pve-1")
    assert not [line for line in told if f"/nodes/{written}" in line], "no right is asked for there"
    assert (len(told) == 1) is (rights != "none")


def test_c19_what_a_token_lacks_is_told_by_the_command_s_own_way(
    site: SiteMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command asks for the machines' states first, which such a token does not see."""
    monkeypatch.setenv("PLUMBLINE_CACHE", str(tmp_path))
    made = renamed(site(workers=1, masters=1), "pve-1", "pve1")
    made.double.world.access.acl.clear()
    count, told = examine(Lab(made.inventory, tmp_path, made.provider))
    assert count == 3
    assert str(told[0]).startswith("hypervisors.pve1: unknown to this cluster")
    assert "not granted" in str(told[1])


def test_a_silent_node_with_machines_of_the_lab_is_named(site: SiteMaker) -> None:
    lab = site(workers=2, masters=1)
    lab.build()
    certificate = "error:0A000086:SSL routines::certificate verify failed"
    lab.double.world.faults.answer("GET", "/nodes/pve-2/.*", 596, certificate, times=1000)
    lab.again()
    assert subjects(lab) == ["hypervisors.pve-2"]


def test_names_of_storages_and_pools_are_told_before_their_rights(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1, more="  storage: locallvm\n  image_storage: locl\n  pool: plumblin")
    lab.double.add_pool("plumbline")
    access = lab.double.world.access
    access.roles[ROLE] = access.roles[ROLE] - {"Datastore.AllocateTemplate", "VM.Clone"}
    told = lab.problems()
    assert [line.partition(":")[0] for line in told] == [
        "proxmox.storage locallvm",
        "proxmox.image_storage locl",
        "proxmox.pool plumblin",
    ]
    assert [line.rpartition("fix: ")[2] for line in told] == [
        "write local-lvm",
        "write local",
        "write plumbline",
    ]


def test_a_name_that_the_token_may_not_see_is_a_right_and_says_what_is_seen(site: SiteMaker) -> None:
    lab = least(site(workers=1, masters=1))
    assert lab.problems() == []
    settings = lab.inventory.section(Proxmox).model_copy(update={"storage": "ceph"})
    lab.inventory = lab.inventory.model_copy(update={"proxmox": settings})
    lab.again()
    told = lab.problems()
    assert {line.partition(";")[0] for line in told} == {
        f"token {lab.double.token_id} on /storage/ceph: not granted"
    }
    assert "what this token sees there: local, local-lvm" in told[0]


@pytest.mark.parametrize("vlan", [False, True])
def test_a_vnet_of_an_sdn_zone_is_a_bridge_and_its_rights_are_in_its_zone(
    pve: Double, site: SiteMaker, vlan: bool
) -> None:
    pve.world.vnets["labnet"] = Vnet("zone1", vlan_aware=vlan)
    network = ", vlan: 20" if vlan else ""
    lab = least(site(workers=1, masters=1, hypervisor=", bridge: labnet, zone: zone1", network=network))
    paths = {entry.path for entry in pve.world.access.acl}
    assert f"/sdn/zones/zone1/labnet{'/20' if vlan else ''}" in paths
    assert not [path for path in paths if "localnetwork" in path]
    assert lab.problems() == []
    lab.build()
    lab.assert_converged()
    assert "bridge=labnet" in lab.vm("worker-1").config["net0"]


def test_a_plain_bridge_with_a_tag_needs_the_right_on_the_tag_alone(site: SiteMaker) -> None:
    lab = least(site(workers=1, masters=1, network=", vlan: 20"))
    assert lab.problems() == []
    lab.build()
    lab.assert_converged()


def test_a_vnet_without_its_zone_a_wrong_zone_and_a_wrong_bridge_are_told(
    pve: Double, site: SiteMaker
) -> None:
    pve.world.vnets["labnet"] = Vnet("zone1")
    cases = (
        (", bridge: labnet", "", "hypervisors.pve-1.zone", "add hypervisors.pve-1.zone"),
        (", zone: zone1", "", "hypervisors.pve-1.zone", "leave out hypervisors.pve-1.zone"),
        (", bridge: labnett, zone: zone1", "", "hypervisors.pve-1.bridge", "write labnet"),
        (", bridge: labnet, zone: zone1", ", vlan: 20", "network.vlan 20", "leave out network.vlan"),
    )
    for hypervisor, network, subject, fix in cases:
        lab = site(workers=1, masters=1, hypervisor=hypervisor, network=network)
        (told,) = lab.problems()
        assert told.startswith(f"{subject}:"), told
        assert fix in told


def test_a_vnet_of_another_zone_is_not_seen_by_a_token_with_the_least_rights(
    pve: Double, site: SiteMaker
) -> None:
    pve.world.vnets["labnet"] = Vnet("zone1")
    lab = least(site(workers=1, masters=1, hypervisor=", bridge: labnet, zone: zone2"))
    (told,) = lab.problems()
    assert told.startswith("hypervisors.pve-1.bridge: bridges and VNets none; wanted: labnet in zone zone2")


def test_a_node_that_does_not_answer_is_named_and_the_others_are_looked_at(site: SiteMaker) -> None:
    lab = site(workers=2, masters=1)
    pve = lab.double.world
    certificate = "error:0A000086:SSL routines::certificate verify failed"
    pve.faults.answer("GET", "/nodes/pve-2/.*", 596, certificate, times=1000)
    local = pve.storages["local"]
    local.content = tuple(kind for kind in local.content if kind != "import")
    told = lab.problems()
    assert [line.partition(":")[0] for line in told] == [
        "hypervisors.pve-2",
        "proxmox.image_storage local on pve-1",
    ]
    assert "pvecm updatecerts" in told[0]


def test_memory_is_compared_with_what_is_available(
    pve9: Double, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = opened(pve9, tmp_path_factory, monkeypatch)(workers=1, masters=1)
    node = pve9.world.nodes["pve-1"]
    node.cache = node.memory - 1 * GIB
    assert lab.problems() == [], "caches give their memory back"
    need = sum(host.memory_gib for host in lab.inventory.hosts.values())
    node.cache, node.memory = 0, (need + 1) * GIB
    pve9.add_foreign_vm(900, "family-nas").config["memory"] = "8192"
    vm = pve9.world.vms[900]
    vm.status, vm.running = "running", dict(vm.config)
    (told,) = lab.problems()
    assert told.startswith(
        f"memory of pve-1: {(need - 7) * 1024} MiB available; wanted: {need * 1024} MiB for 3 machines"
    )


def test_where_available_memory_is_not_told_too_little_that_is_free_is_a_warning(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    node = lab.double.world.nodes["pve-1"]
    node.cache = node.memory - 1 * GIB
    (warning,) = lab.provider.preflight(map(lab.machine, lab.inventory.hosts))
    assert not warning.stops
    assert "1024 MiB free; what is available is not told by this version" in str(warning)
    node.cache, node.memory = 0, 8 * GIB
    (refused,) = lab.provider.preflight(map(lab.machine, lab.inventory.hosts))
    assert refused.stops
    assert "8192 MiB in all" in str(refused)


def test_room_on_storages_is_compared_with_what_the_lab_needs(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    storages = lab.double.world.storages
    disks, files = storages["local-lvm"], storages["local"]
    need = sum(host.disk_gib for host in lab.inventory.hosts.values())
    disks.foreign_bytes = disks.total - need * GIB
    files.foreign_bytes = files.total - IMAGE.size
    assert subjects(lab) == ["room of storage local on pve-1"]
    disks.foreign_bytes = disks.total - (need - 1) * GIB
    told = lab.problems()
    assert f"wanted: {need} GiB for the disks of 3 machines" in told[0]
    assert "wanted: 1 GiB for 1 images" in told[1]
    disks.foreign_bytes = files.foreign_bytes = 0
    lab.build()
    disks.foreign_bytes = disks.total
    assert subjects(lab) == [], "machines that are made need no more room"


def test_a_shared_storage_must_hold_the_machines_of_all_nodes(site: SiteMaker) -> None:
    lab = site(workers=3)
    disks = lab.double.world.storages["local-lvm"]
    disks.shared = True
    need = sum(host.disk_gib for host in lab.inventory.hosts.values())
    disks.foreign_bytes = disks.total - (need - 1) * GIB
    (told,) = lab.problems()
    assert told.startswith("room of storage local-lvm on all nodes:")
    assert f"{need} GiB for the disks of {len(lab.inventory.hosts)} machines" in told


def test_one_folder_for_nodes_that_have_one_each_is_refused(pve: Double, site: SiteMaker) -> None:
    lab = site(workers=3, snippets=f"{{storage: local, folder: {pve.snippets}}}")
    (told,) = lab.problems()
    assert "storage local is not shared: pve-1, pve-2, pve-3 have a folder each" in told
    assert f"write folder: root@{{node}}:{pve.snippets}" in told
    alone = site(workers=1, masters=1, snippets=f"{{storage: local, folder: {pve.snippets}/pve-1}}")
    assert alone.problems() == [], "one hypervisor has one folder"
