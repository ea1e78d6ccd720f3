"""Machines on Proxmox VE: made once, changed in place, removed whole; nobody else's is touched."""

from __future__ import annotations

import re
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pytest

from lab.errors import FailedError, PlumblineError, PreflightError
from lab.machines import Power, State
from lab.providers.proxmox.api import ProxmoxApi
from lab.providers.proxmox.retry import LostError
from lab.providers.proxmox.section import Proxmox
from tests.doubles.pve.fixture import ROLE, USER, Double
from tests.integration.pve.site import Site, SiteMaker, opened, shared_snippets


def problems(lab: Site) -> list[str]:
    return lab.problems()


def test_a_lab_is_made_converges_and_is_removed(site: SiteMaker) -> None:
    lab = site()
    assert problems(lab) == []
    assert lab.build()
    lab.assert_converged()
    places = {vm.config["name"]: vm.node for vm in lab.double.world.vms.values() if not vm.template}
    assert {places[f"master-{number}"] for number in (1, 2, 3)} == {"pve-1", "pve-2", "pve-3"}
    writes = len(lab.double.world.journal.writes())
    assert not lab.build()
    assert len(lab.double.world.journal.writes()) == writes
    assert lab.provider.clean()
    assert not lab.provider.leftovers()
    assert not lab.own()
    assert not lab.provider.clean()
    assert len(lab.provider.templates.remove()) == 3
    assert not lab.double.world.vms
    lab.assert_sound()


def test_nodes_that_share_a_storage_share_one_template(site: SiteMaker) -> None:
    lab = site(workers=3)
    lab.double.world.storages["local-lvm"].shared = True
    assert problems(lab) == []
    lab.build()
    lab.assert_converged()
    vms = lab.double.world.vms.values()
    assert len([vm for vm in vms if vm.template]) == 1
    assert {vm.node for vm in vms if not vm.template} == {"pve-1", "pve-2", "pve-3"}
    assert lab.provider.clean()
    assert not lab.own()


def test_version_nine_takes_the_same_build(
    pve9: Double, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    more, snippets = "  ha: true\n  clone: full", shared_snippets(pve9)
    make = opened(pve9, tmp_path_factory, monkeypatch)
    lab = make(workers=1, masters=1, more=more, snippets=snippets)
    pve9.world.storages["local-lvm"].shared = True
    assert problems(lab) == []
    lab.build()
    lab.assert_converged()
    assert len(pve9.world.ha_resources) == 3
    assert lab.provider.clean()
    assert not lab.own()
    assert not pve9.world.ha_resources


def test_c10_keys_are_sent_encoded_once_and_come_back_as_they_were(site: SiteMaker) -> None:
    """Colons, slashes and blanks in keys."""
    lab = site(workers=1, masters=1)
    lab.build()
    vm = lab.double.world.vms[lab.own()["haproxy"][0]]
    assert not re.search(r"[+/: ]", vm.config["sshkeys"])
    assert unquote(vm.config["sshkeys"]).startswith("ssh-ed25519 ")


def test_a_change_of_size_is_planned_carried_out_and_pending_until_a_power_cycle(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    lab.build()
    bigger = site(workers=1, masters=1)
    hosts = dict(bigger.inventory.hosts)
    hosts["haproxy"] = hosts["haproxy"].model_copy(update={"cpus": 4, "memory_gib": 4, "disk_gib": 40})
    bigger.inventory = bigger.inventory.model_copy(update={"hosts": hosts})
    provider, machine = bigger.again(), bigger.machine("haproxy")
    assert provider.changes(machine) == (
        "cores: 2 -> 4; it takes effect when the machine is next switched off and on",
        "memory: 2048 -> 4096; it takes effect when the machine is next switched off and on",
        "disk: 20 GiB -> 40 GiB; the file system follows at the next boot",
    )
    assert provider.create(machine)
    assert provider.changes(machine) == ()
    assert not provider.create(machine)
    vm = bigger.double.world.vms[bigger.own()["haproxy"][0]]
    assert vm.running["cores"] == "2"
    provider.power("haproxy", Power.OFF)
    assert provider.state("haproxy") is State.OFF
    provider.power("haproxy", Power.ON)
    assert vm.running["cores"] == "4"
    with pytest.raises(PreflightError, match="never shrinks"):
        lab.again().changes(lab.machine("haproxy"))


def test_power_is_what_was_asked_for(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    lab.build()
    provider = lab.provider
    for action, state in (
        (Power.PAUSE, State.PAUSED),
        (Power.RESUME, State.RUNNING),
        (Power.RESET, State.RUNNING),
        (Power.OFF, State.OFF),
    ):
        provider.power("worker-1", action)
        assert provider.state("worker-1") is state
    with pytest.raises(FailedError, match="worker-1: pause: the machine is off"):
        provider.power("worker-1", Power.PAUSE)
    assert "as the inventory says" in provider.console("master-1")


def test_c22_a_number_of_somebody_else_is_refused_before_anything_is_made(site: SiteMaker) -> None:
    """Number 111 belongs to the family's NAS."""
    lab = site(workers=1, masters=1, host=", vmid: 111")
    stranger = lab.double.add_foreign_vm(111, "family-nas")
    assert any("machine 111 (family-nas) on pve-1" in line for line in problems(lab))
    with pytest.raises(PreflightError, match=r"111 \(family-nas\).*is not touched"):
        lab.provider.create(lab.machine("haproxy"))
    with pytest.raises(PreflightError, match="is not touched"):
        lab.provider.destroy("haproxy")
    with pytest.raises(PreflightError, match="is not touched"):
        lab.provider.power("haproxy", Power.OFF)
    assert not lab.provider.clean()
    assert lab.double.world.journal.writes() == []
    assert lab.double.world.vms[111] is stranger


def test_another_lab_and_a_copy_made_by_hand_are_strangers(site: SiteMaker) -> None:
    first, second = site(workers=1, masters=1), site(workers=1, masters=1, lab="other")
    first.build()
    assert second.provider.machines() == {}
    assert second.provider.state("haproxy") is State.FOREIGN
    assert not second.provider.clean()
    world = first.double.world
    original = world.vms[first.own()["haproxy"][0]]
    copy = first.double.add_foreign_vm(999, "haproxy-before-the-upgrade")
    copy.config.update({key: original.config[key] for key in ("description", "tags")})
    assert sorted(first.again().machines()) == sorted(first.inventory.hosts)
    first.provider.clean()
    assert 999 in world.vms


def test_c19_a_token_without_rights_is_told_each_right_and_nothing_else(site: SiteMaker) -> None:
    """Its lists are empty and answered with 200, as if there were no machine."""
    lab = site(workers=1, masters=1)
    world = lab.double.world
    world.access.acl.clear()
    told = problems(lab)
    assert len(told) > 15
    assert all("not granted" in line and "pveum acl modify" in line for line in told)
    for command in (lab.provider.clean, lambda: lab.provider.state("haproxy")):
        with pytest.raises(PreflightError, match="may see no machine"):
            command()
    assert world.journal.writes() == []


def test_c19_a_token_that_lacks_one_right_is_told_this_one(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    access = lab.double.world.access
    access.roles[ROLE] = access.roles[ROLE] - {"VM.Config.Cloudinit"}
    assert [line.partition(";")[0] for line in problems(lab)] == [f"token {USER}!build on /vms: not granted"]
    assert "VM.Config.Cloudinit" in problems(lab)[0]


def test_a_wrong_certificate_is_never_accepted(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1)
    right = lab.double.server.fingerprint
    for fingerprint, accepted in ((right, True), ("00:" * 31 + "00", False)):
        settings = lab.inventory.section(Proxmox).model_copy(
            update={"ca_file": None, "fingerprint": fingerprint}
        )
        lab.inventory = lab.inventory.model_copy(update={"proxmox": settings})
        lab.again()
        assert (problems(lab) == []) is accepted
    settings = settings.model_copy(update={"fingerprint": None})
    lab.inventory = lab.inventory.model_copy(update={"proxmox": settings})
    lab.again()
    assert "certificate" in problems(lab)[0]


def test_a_handshake_that_is_cut_is_a_lost_call_and_no_wrong_certificate(site: SiteMaker) -> None:
    settings = site().inventory.section(Proxmox)

    def hang_up(server: socket.socket) -> None:
        with server.accept()[0] as connection:
            connection.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        pool.submit(hang_up, server)
        api = ProxmoxApi(settings.model_copy(update={"port": server.getsockname()[1]}), "secret")
        with pytest.raises(LostError, match=r"GET version: no answer from https://127\.0\.0\.1"):
            api.once("version")


def test_a_wrong_secret_is_told_without_being_shown(site: SiteMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLUMBLINE_PROXMOX_SECRET", "11111111-2222-3333-4444-555555555555")
    lab = site(workers=1, masters=1)
    told = problems(lab)
    assert len(told) == 1
    assert "401" in told[0]
    assert "11111111-2222" not in told[0]


def test_what_the_hypervisor_lacks_is_told_at_once(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1, more="  pool: nowhere")
    world = lab.double.world
    local = world.storages["local"]
    local.content = tuple(kind for kind in local.content if kind not in ("import", "snippets"))
    told = "\n".join(problems(lab))
    assert "pvesm set local --content backup,import,iso,vztmpl" in told
    assert "content snippets" in told
    assert "no such pool" in told


def test_high_availability_wants_disks_that_another_node_sees(pve: Double, site: SiteMaker) -> None:
    lab = site(workers=1, masters=1, more="  ha: true", snippets=shared_snippets(pve))
    storage = lab.double.world.storages["local-lvm"]
    told = problems(lab)
    assert [line.partition(":")[0] for line in told] == ["proxmox.storage local-lvm on pve-1"]
    assert "not shared" in told[0]
    assert "proxmox.ha: false" in told[0]
    storage.kind = "zfspool"
    assert problems(lab) == []
    storage.kind, storage.shared = "rbd", True
    assert problems(lab) == []


def test_a_dead_hypervisor_is_an_error_not_an_absent_machine(site: SiteMaker) -> None:
    lab = site()
    lab.build()
    lab.double.world.nodes["pve-2"].down = True
    with pytest.raises(PlumblineError, match="pve-2 is offline, so its state is unknown"):
        lab.again().state("master-2")
