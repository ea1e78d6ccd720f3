"""Builds that died, and answers that were lost, while Proxmox VE was at work on something without a name.

Until a clone or an import is done, it has a number and a lock; with rights on a pool alone, not even that
is to be seen. Nothing may be made twice, and nothing may be left behind.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from lab.errors import PreflightError
from lab.machines import State
from lab.providers.proxmox.mark import ProxmoxMark
from lab.providers.proxmox.rights import Need, needs, role_commands
from lab.providers.proxmox.section import Proxmox
from tests.doubles.pve.access import Access
from tests.doubles.pve.faults import NEVER, TaskScript
from tests.doubles.pve.fixture import TOKEN, USER
from tests.integration.pve.site import Site, SiteMaker

POOL = "  pool: plumbline"
SLOW_SECONDS = 1.0
SLOW = TaskScript(seconds=SLOW_SECONDS)
MAKE, CLONE = "/nodes/[^/]+/qemu", "/nodes/[^/]+/qemu/[0-9]+/clone"


def grant_only(access: Access, wanted: Iterable[Need]) -> None:
    """What the commands of `invoke proxmox.role` do, and nothing else."""
    access.acl.clear()
    for need in wanted:
        access.roles[need.role] = frozenset(need.privileges)
        for who in (USER, f"{USER}!{TOKEN}"):
            access.grant(need.path, who, need.role)


@pytest.fixture(params=["", POOL], ids=["rights on all machines", "rights on a pool"])
def lab(request: pytest.FixtureRequest, site: SiteMaker) -> Site:
    """A small lab whose token has what `invoke proxmox.role` prints."""
    made = site(workers=1, masters=1, more=request.param)
    world, settings = made.double.world, made.inventory.section(Proxmox)
    wanted = needs(made.inventory, settings, 8)
    assert len(role_commands(wanted, settings.token)) > len(wanted)
    grant_only(world.access, wanted)
    if settings.pool:
        made.double.add_pool(settings.pool)
    return made


def begin_clone(lab: Site, name: str, script: TaskScript = SLOW) -> int:
    """The last that a killed build did: a clone is at work."""
    lab.provider.prepare()
    row = next(iter(lab.provider.fleet.templates().values()))[0]
    number = lab.provider.fleet.next_number()
    lab.double.world.faults.tasks("qmclone", script)
    pool = {"pool": "plumbline"} if lab.double.world.pools else {}
    mark = str(ProxmoxMark("lab", lab.inventory.lab, name, number))
    given = {"newid": number, "name": name, "description": mark, "full": 0} | pool
    lab.provider.api.post(f"{row.path}/clone", given)
    lab.again()
    return number


def end_soon(lab: Site) -> None:
    """What is at work, and would never end, ends a second from now."""
    world = lab.double.world
    with world.lock:
        for task in world.tasks.all.values():
            if task.running:
                task.due = world.clock.now() + SLOW_SECONDS


def assert_made_once(lab: Site) -> None:
    lab.assert_converged()
    assert len([vm for vm in lab.double.world.vms.values() if vm.template]) == 1
    assert lab.double.world.journal.repeated() == []


def test_the_rights_that_are_printed_are_enough(lab: Site) -> None:
    assert lab.provider.preflight(lab.machine(name) for name in lab.inventory.hosts) == []
    lab.build()
    assert_made_once(lab)
    assert lab.provider.clean()
    assert not lab.provider.leftovers()
    assert len(lab.provider.templates.remove()) == 1
    assert lab.double.world.vms == {}


def test_a_clone_of_a_killed_build_becomes_the_machine(lab: Site) -> None:
    number = begin_clone(lab, "worker-1", TaskScript(seconds=NEVER))
    assert lab.provider.state("worker-1") is State.ABSENT
    end_soon(lab)
    lab.build()
    assert_made_once(lab)
    assert lab.own()["worker-1"] == [number]


def test_destroying_one_machine_waits_for_its_clone(lab: Site) -> None:
    number = begin_clone(lab, "worker-1")
    assert lab.provider.destroy("worker-1")
    assert number not in lab.double.world.vms
    lab.assert_sound()


def test_a_clone_whose_answer_was_lost_is_not_made_again(lab: Site) -> None:
    world = lab.double.world
    world.faults.tasks("qmclone", SLOW)
    world.faults.drop("POST", CLONE)
    lab.build()
    assert_made_once(lab)
    assert len(world.journal.happened("task qmclone started")) == len(lab.inventory.hosts)


def test_a_template_whose_answer_was_lost_is_not_made_again(lab: Site) -> None:
    world = lab.double.world
    world.faults.tasks("qmcreate", SLOW)
    world.faults.drop("POST", MAKE)
    lab.build()
    assert_made_once(lab)


def test_a_template_of_a_killed_build_is_waited_for(lab: Site) -> None:
    world = lab.double.world
    lab.provider.prepare()
    made = next(vm for vm in world.vms.values() if vm.template)
    sent = next(item for item in world.journal.writes() if item.path == f"/nodes/{made.node}/qemu")
    assert len(lab.provider.templates.remove()) == 1
    world.faults.tasks("qmcreate", SLOW)
    lab.provider.api.post(f"nodes/{made.node}/qemu", sent.parameters)
    lab.again()
    lab.build()
    assert [vm.vmid for vm in world.vms.values() if vm.template] == [made.vmid]
    assert set(lab.again().machines().values()) == {State.RUNNING}


def test_a_number_that_is_being_made_is_told_as_such(site: SiteMaker) -> None:
    lab = site(workers=1, masters=1, host=", vmid: 111")
    lab.double.add_foreign_vm(111, "VM 111").config["lock"] = "clone"
    with pytest.raises(PreflightError, match="machine 111 on pve-1 has its number and is still being made"):
        lab.provider.create(lab.machine("haproxy"))


def test_a_number_that_the_inventory_keeps_for_a_host_goes_to_nobody_else(site: SiteMaker) -> None:
    """The next free numbers are those of the balancer, and of a machine that nobody may see."""
    lab = site(workers=1, masters=1, host=", vmid: 100")
    lab.double.add_foreign_vm(101, "family-nas")
    lab.build()
    lab.assert_converged()
    assert lab.own()["haproxy"] == [100]
