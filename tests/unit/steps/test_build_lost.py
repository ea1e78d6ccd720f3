"""A build of a lab that lost machines, or whose machines are off or out of the rotation."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.errors import FailedError, PreflightError
from lab.ssh import Result
from lab.steps import joining, leaving
from lab.steps.context import Context
from lab.steps.engine import something_to_do
from tests.unit.steps.building import build_lab, built, plan, said
from tests.world import World

pytestmark = pytest.mark.usefixtures("nothing_unplanned")


def test_an_api_server_that_a_killed_operation_left_drained_is_put_back(
    world: World, context: Context
) -> None:
    built(world)
    world.drained |= {"master-3", "master-1"}
    again = "into the rotation of API servers again: it was left drained"
    assert said(plan(context)) == {"haproxy": (f"master-1 {again}", f"master-3 {again}")}
    assert world.drained == {"master-3", "master-1"}
    assert build_lab(context)
    assert world.drained == set()
    assert not something_to_do(plan(context))


def test_a_balancer_that_cannot_tell_who_is_drained_is_mended_first(world: World, context: Context) -> None:
    """Without HAProxy, or without its socket: nobody is drained when it has started, or was reloaded."""
    built(world)
    world.ssh.on("haproxy", "socat", Result(1, "", "socat: No such file or directory"))
    world.hosts["haproxy"].write("/etc/haproxy/haproxy.cfg", "", "0644", "root:root")
    assert said(plan(context)) == {"haproxy": ("write /etc/haproxy/haproxy.cfg; then reload haproxy",)}
    assert build_lab(context)


@pytest.mark.parametrize("lost", ["master-1", "master-2"])
def test_c14_a_lost_master_joins_again_after_its_dead_member_and_node_went(
    world: World, context: Context, lost: str
) -> None:
    built(world)
    world.lose(lost)
    assert said(plan(context)) == {
        lost: (
            "make the machine and boot it for the first time",
            f"remove the dead etcd member of {lost}",
            f"delete the former Node object {lost}",
            "kubeadm join",
        )
    }
    assert not world.ssh.commands("member remove")
    assert not world.api.deleted
    assert build_lab(context)
    assert world.verbs() == [("join", lost)]
    assert world.api.deleted == [f"/api/v1/nodes/{lost}"]
    removed = world.ssh.commands("member remove")
    assert len(removed) == 1
    assert removed[0][0] != lost
    assert set(world.etcd) == set(world.inventory.masters)


@pytest.mark.parametrize("asked", [plan, build_lab])
def test_a_master_whose_removal_was_begun_is_no_part_of_the_cluster(
    asked: Callable[[Context], object], world: World, context: Context
) -> None:
    build_lab(context)
    del world.etcd["master-2"]  # destroy --host was killed after its first step
    again = world.build()
    with pytest.raises(PreflightError, match=r"^master-2: etcd has no member of it any more") as refused:
        asked(again)
    again.run.close()
    assert refused.value.next_step.startswith("invoke destroy --host master-2,")
    ended = leaving.one(world.build(), "master-2", lose_quorum=False)
    assert [step.key for step in ended] == ["remove:master-2", "node:master-2"]


@pytest.mark.parametrize("silent", [("master-1",), ("master-1", "master-2", "master-3")])
def test_an_etcd_that_does_not_answer_says_nothing_of_its_members(
    silent: tuple[str, ...], world: World, context: Context
) -> None:
    build_lab(context)
    del world.etcd["master-2"]
    for name in silent:
        world.ssh.on(name, "etcdctl", Result(1, "", "context deadline exceeded"))
    if len(silent) == len(world.inventory.masters):
        joining.whole(context, world.inventory.masters)
        return
    with pytest.raises(PreflightError, match=r"^master-2: "):
        joining.whole(context, world.inventory.masters)


def test_a_lost_worker_joins_again_without_touching_etcd(world: World, context: Context) -> None:
    built(world)
    world.lose("worker-2")
    assert said(plan(context))["worker-2"][1:] == ("delete the former Node object worker-2", "kubeadm join")
    build_lab(context)
    assert world.verbs() == [("join", "worker-2")]
    assert world.ssh.commands("etcdctl member remove") == []
    assert world.ssh.commands("upload-certs") == []


def test_machines_that_are_off_are_switched_on_and_found_nothing(world: World, context: Context) -> None:
    built(world)
    for name in world.inventory.masters:
        world.switch_off(name)
    world.provider.log.clear()
    told = said(plan(context))
    assert {name: told[name] for name in world.inventory.masters} == dict.fromkeys(
        world.inventory.masters, ("switch the machine on",)
    )
    build_lab(context)
    assert sorted(world.provider.log) == [("on", name) for name in world.inventory.masters]
    assert world.verbs() == []


@pytest.mark.parametrize("name", ["master-1", "master-3", "worker-1", "haproxy"])
def test_a_lab_without_a_cluster_is_founded_though_a_machine_of_it_was_off(
    up: World, context: Context, name: str
) -> None:
    """It might have held the cluster: it is switched on and looked at first."""
    up.switch_off(name)
    build_lab(context)
    assert [host for verb, host in up.verbs() if verb == "init"] == ["master-1"]
    assert up.joined() == set(up.inventory.nodes)


def test_a_lost_control_plane_is_refused_and_nothing_is_founded(world: World, context: Context) -> None:
    built(world)
    for name in world.inventory.masters:
        world.lose(name)
    with pytest.raises(FailedError, match=r"worker-1, worker-2 is: the control plane is lost"):
        build_lab(context)
    assert world.verbs() == []
    assert ("create", "master-1") not in world.provider.log
