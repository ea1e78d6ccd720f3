"""The whole build against a lab without machines: what it does, in which order, and when it does nothing."""

from __future__ import annotations

from typing import NoReturn

import pytest

from lab.cluster.api import Unavailable
from lab.errors import CommandError, DeadlineError, FailedError, PlumblineError
from lab.operations.build import PHASES, build_lab, plan, steps
from lab.steps.context import Build
from lab.steps.decide import decide
from lab.steps.gather import gather
from tests.fakes import Call
from tests.world import TOKEN, World, half_finished


def built(world: World) -> None:
    """Build the lab and forget what was said on the way."""
    made = world.build()
    build_lab(made)
    made.run.close()
    world.kubeadm_runs.clear()
    world.ssh.calls.clear()
    world.provider.log.clear()
    world.api.applied.clear()
    world.api.deleted.clear()
    for host in world.hosts.values():
        host.ran.clear()


def test_a_fresh_lab_is_founded_once_and_joined_by_everyone_else(world: World, build: Build) -> None:
    assert build_lab(build)
    verbs = world.verbs()
    assert verbs[0] == ("init", "master-1")
    assert sorted(verbs[1:]) == [("join", name) for name in ("master-2", "master-3", "worker-1", "worker-2")]
    assert world.joined() == set(world.inventory.nodes)
    assert set(world.etcd) == {"master-1", "master-2", "master-3"}


def test_a_first_boot_from_the_seed_leaves_nothing_to_converge(world: World, build: Build) -> None:
    build_lab(build)
    assert {name: host.ran for name, host in world.hosts.items()} == {name: [] for name in world.hosts}


def test_the_second_build_changes_nothing_and_the_plan_is_empty(world: World, build: Build) -> None:
    built(world)
    assert plan(build).empty
    assert not build_lab(build)
    assert world.verbs() == []
    assert world.provider.log == []
    assert not any(event["changed"] for event in build.run.events)


def test_a_plan_touches_neither_machines_nor_hosts_nor_objects(world: World, build: Build) -> None:
    found = plan(build)
    assert not found.empty
    assert found.addons_unknown
    assert world.provider.log == []
    assert not world.provider.prepared
    built(world)
    world.hosts["worker-1"].write("/etc/hosts", "", "0644", "root:root")
    world.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker")
    found = plan(build)
    assert [name for name, item in found.decisions.items() if item.sentences()] == ["worker-1"]
    assert {name: [item.name for item in items] for name, items in found.objects.items() if items} == {
        "metallb": ["DaemonSet/metallb-system/speaker"]
    }
    assert world.hosts["worker-1"].ran == []
    assert world.api.applied == []


@pytest.mark.parametrize(
    "error",
    [
        DeadlineError("dry run of IPAddressPool/metallb-system/default", 20, "failed calling webhook"),
        Unavailable("API: https://10.1.1.50:6443: read timed out"),
    ],
    ids=["webhook", "api"],
)
def test_a_plan_tells_what_differs_on_hosts_when_objects_cannot_be_compared(
    world: World, build: Build, monkeypatch: pytest.MonkeyPatch, error: PlumblineError
) -> None:
    def silent(_: Build) -> NoReturn:
        raise error

    built(world)
    monkeypatch.setattr("lab.steps.services.planned", silent)
    assert not plan(build).empty, "what could not be compared is not the same as nothing to change"
    world.hosts["worker-1"].write("/etc/hosts", "", "0644", "root:root")
    found = plan(build)
    assert [name for name, item in found.decisions.items() if item.sentences()] == ["worker-1"]
    assert found.untold is error


def test_what_a_plan_says_is_what_a_build_does(world: World, build: Build) -> None:
    built(world)
    world.hosts["worker-1"].write("/etc/crictl.yaml", "timeout: 2\n", "0644", "root:root")
    world.hosts["master-2"].write("/etc/containerd/config.toml", "", "0644", "root:root")
    said = {name: item.sentences() for name, item in plan(build).decisions.items() if item.sentences()}
    assert said == {
        "master-2": ("write /etc/containerd/config.toml; then restart containerd",),
        "worker-1": ("write /etc/crictl.yaml",),
    }
    assert build_lab(build)
    assert world.hosts["master-2"].ran == [["systemctl", "restart", "containerd"]]
    assert world.hosts["worker-1"].ran == []
    assert plan(build).empty


@pytest.mark.parametrize("lost", ["master-1", "master-2"])
def test_a_lost_master_joins_again_after_its_dead_member_and_node_went(
    world: World, build: Build, lost: str
) -> None:
    built(world)
    world.lose(lost)
    assert build_lab(build)
    assert world.verbs() == [("join", lost)]
    assert world.api.deleted == [f"/api/v1/nodes/{lost}"]
    removed = world.ssh.commands("member remove")
    assert len(removed) == 1
    assert removed[0][0] != lost
    assert set(world.etcd) == set(world.inventory.masters)


def test_a_lost_worker_joins_again_without_touching_etcd(world: World, build: Build) -> None:
    built(world)
    world.lose("worker-2")
    build_lab(build)
    assert world.verbs() == [("join", "worker-2")]
    assert world.ssh.commands("etcdctl") == []
    assert world.ssh.commands("upload-certs") == []


def test_machines_that_are_off_are_switched_on_and_found_nothing(world: World, build: Build) -> None:
    built(world)
    for name in world.inventory.masters:
        world.switch_off(name)
    world.provider.log.clear()
    build_lab(build)
    assert sorted(world.provider.log) == [("on", name) for name in world.inventory.masters]
    assert world.verbs() == []


@pytest.mark.parametrize("name", ["master-1", "master-3", "worker-1", "haproxy"])
def test_a_lab_without_a_cluster_is_founded_though_a_machine_of_it_was_off(
    up: World, build: Build, name: str
) -> None:
    """It might have held the cluster: it is switched on and looked at first."""
    up.switch_off(name)
    build_lab(build)
    assert [host for verb, host in up.verbs() if verb == "init"] == ["master-1"]
    assert up.joined() == set(up.inventory.nodes)


def test_a_lost_control_plane_is_refused_and_nothing_is_founded(world: World, build: Build) -> None:
    built(world)
    for name in world.inventory.masters:
        world.lose(name)
    with pytest.raises(FailedError, match=r"worker-1, worker-2 is: the control plane is lost"):
        build_lab(build)
    assert world.verbs() == []
    assert ("create", "master-1") not in world.provider.log


def test_an_init_that_failed_is_undone_and_done_again_on_the_same_master(world: World, build: Build) -> None:
    build_fails = world.build()
    world.failing = {"master-1"}
    with pytest.raises(CommandError, match="it went wrong"):
        build_lab(build_fails)
    build_fails.run.close()
    assert world.joined() == set()
    world.failing.clear()
    build_lab(build)
    assert [host for host, _ in world.ssh.commands("kubeadm reset")] == ["master-1"]
    assert [host for verb, host in world.verbs() if verb == "init"] == ["master-1", "master-1"]
    assert world.joined() == set(world.inventory.nodes)


def test_a_join_that_failed_is_undone_and_done_again(world: World, build: Build) -> None:
    build_fails = world.build()
    world.failing = {"worker-1"}
    with pytest.raises(CommandError):
        build_lab(build_fails)
    build_fails.run.close()
    world.failing.clear()
    build_lab(build)
    assert [host for host, _ in world.ssh.commands("kubeadm reset")] == ["worker-1"]
    assert [host for verb, host in world.verbs() if verb == "init"] == ["master-1"]
    assert plan(build).empty


def left_in_the_middle(world: World, verb: str) -> None:
    """A build was killed while kubeadm worked on master-1 (init) or worker-1 (join), which goes on there."""
    name = "master-1" if verb == "init" else "worker-1"
    world.failing = {name}
    killed = world.build()
    with pytest.raises(CommandError):
        build_lab(killed)
    killed.run.close()
    world.failing.clear()
    world.kubeadm_runs.clear()
    world.ssh.calls.clear()
    half_finished(world.hosts[name], unit="activating")
    asked = 0

    def progress(call: Call) -> str:
        nonlocal asked
        asked += 1
        if asked == 3:
            world.becomes_member(name, founding=verb == "init")
        return world.progress(call)

    world.ssh.on(name, "systemctl show -P ActiveState", progress)


@pytest.mark.parametrize("verb", ["init", "join"])
def test_kubeadm_that_still_runs_is_waited_for_and_not_started_again(
    world: World, build: Build, verb: str
) -> None:
    left_in_the_middle(world, verb)
    build_lab(build)
    assert (verb, "master-1" if verb == "init" else "worker-1") not in world.verbs()
    assert world.ssh.commands("kubeadm reset") == []
    assert world.joined() == set(world.inventory.nodes)
    assert plan(build).empty


def test_tokens_are_made_for_each_join_and_removed_after_it(world: World, build: Build) -> None:
    build_lab(build)
    made, gone = (
        world.ssh.commands("token create"),
        world.ssh.commands(f"delete secret bootstrap-token-{TOKEN[:6]}"),
    )
    assert len(made) == len(gone) == 4
    assert len(world.ssh.commands("upload-certs")) == 2
    assert len(world.ssh.commands(" kubeadm-certs --ignore-not-found")) == 2
    documents = {host: document for _, host, document in world.kubeadm_runs}
    with_key = {host for host, document in documents.items() if "controlPlane" in document}
    assert with_key == {"master-2", "master-3"}


def test_secrets_are_forgotten_when_the_join_fails_too(world: World, build: Build) -> None:
    world.failing = {"master-2"}
    with pytest.raises(CommandError):
        build_lab(build)
    assert world.ssh.commands("token create")
    # joins that the failure stopped go on at their hosts: only the failed one's secrets are surely gone
    assert world.ssh.commands("delete secret bootstrap-token-")
    assert world.ssh.commands(" kubeadm-certs --ignore-not-found")


def fresh_steps(build: Build) -> dict[str, frozenset[str]]:
    decisions = decide(build.lab.inventory, build.bundles, gather(build, tuple(build.lab.inventory.hosts)))
    return {step.key: step.needs for step in steps(build, decisions)}


def test_masters_join_in_a_row_and_workers_at_once(build: Build) -> None:
    needs = fresh_steps(build)
    assert "join:master-2" in needs["join:master-3"]
    for name in ("worker-1", "worker-2"):
        assert needs[f"join:{name}"] == {"api", f"converge:{name}"}
    assert not [need for need in needs["join:master-2"] if need.startswith("join")]


def test_the_balancer_and_the_founder_boot_before_the_others(build: Build) -> None:
    needs = fresh_steps(build)
    assert needs["machine:haproxy"] == needs["machine:master-1"] == frozenset()
    for name in ("master-2", "master-3", "worker-1", "worker-2"):
        assert needs[f"machine:{name}"] == {"boot:haproxy", "boot:master-1"}
    assert needs["init:master-1"] == {"converge:master-1", "converge:haproxy"}


def test_add_ons_are_applied_while_nodes_join(build: Build) -> None:
    needs = fresh_steps(build)
    assert needs["addon-coredns"] == needs["addon-flannel"] == {"api"}
    assert needs["addon-metallb"] == {"api", "addon-flannel"}
    assert needs["addon-traefik"] == {"api", "addon-metallb"}
    assert {"join:worker-2", "addon-traefik"} <= needs["nodes"]
    assert needs["ready-flannel"] == {"nodes"}


def test_every_step_is_of_a_phase_that_is_printed_and_needs_steps_that_exist(build: Build) -> None:
    needs = fresh_steps(build)
    printed = {name for name, _ in PHASES}
    assert {key.split(":")[0].split("-")[0] for key in needs} == printed
    assert {need for wanted in needs.values() for need in wanted} <= set(needs)


def test_the_steps_of_one_lab_are_always_the_same(build: Build) -> None:
    assert list(fresh_steps(build)) == list(fresh_steps(build))
