"""The whole build against a lab without machines: what it does, in which order, and when it does nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from lab.addons import AddOn
from lab.artifacts.stock import Stock
from lab.cluster.api import ApiError, Unavailable
from lab.cluster.discovery import Item
from lab.errors import DeadlineError, FailedError, PlumblineError, PreflightError
from lab.machines import Blocker
from lab.operations import build as operation
from lab.ssh import Result
from lab.steps import joining, leaving, services
from lab.steps.context import Context
from lab.steps.engine import Step, StepsFailedError, listed, something_to_do
from lab.steps.machines import MADE
from tests.fakes import FULL_MACHINES, Call
from tests.integration.test_lab_story import PHASES
from tests.world import TOKEN, World, half_finished


@pytest.fixture(autouse=True)
def nothing_unplanned(tmp_path: Path) -> Iterator[None]:
    """Whatever a build does in these tests, its plan has said it."""
    yield
    for log in tmp_path.glob(".lab/test/runs/2*/debug.log"):
        assert "that its plan did not say" not in log.read_text()


def build_lab(context: Context) -> bool:
    return context.engine.execute(operation.steps(context))


def plan(context: Context) -> list[Step]:
    return listed(operation.steps(context))


def said(steps: list[Step]) -> dict[str, tuple[str, ...]]:
    """The sentences of a plan, by host or add-on."""
    found: dict[str, tuple[str, ...]] = {}
    for step in steps:
        if step.will:
            found[step.subject] = (*found.get(step.subject, ()), *step.will)
    return found


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


def test_a_fresh_lab_is_founded_once_and_joined_by_everyone_else(world: World, context: Context) -> None:
    assert build_lab(context)
    verbs = world.verbs()
    assert verbs[0] == ("init", "master-1")
    assert sorted(verbs[1:]) == [("join", name) for name in ("master-2", "master-3", "worker-1", "worker-2")]
    assert world.joined() == set(world.inventory.nodes)
    assert set(world.etcd) == {"master-1", "master-2", "master-3"}


def test_a_first_boot_from_the_seed_leaves_nothing_to_converge(world: World, context: Context) -> None:
    build_lab(context)
    assert {name: host.ran for name, host in world.hosts.items()} == {name: [] for name in world.hosts}


def test_the_second_build_changes_nothing_and_the_plan_is_empty(world: World, context: Context) -> None:
    built(world)
    assert not something_to_do(plan(context))
    assert not build_lab(context)
    assert world.verbs() == []
    assert world.provider.log == []
    assert world.api.applied == []
    assert not any(event["changed"] for event in context.run.events)


def test_the_plan_of_a_fresh_lab_tells_all_of_it_and_touches_nothing(world: World, context: Context) -> None:
    make = "make the machine and boot it for the first time"
    assert said(plan(context)) == {
        "": ("make what its machines share",),
        "haproxy": (make,),
        "master-1": (make, "kubeadm init"),
        **dict.fromkeys(("master-2", "master-3", "worker-1", "worker-2"), (make, "kubeadm join")),
        **{name: (f"apply add-on {name}",) for name in ("coredns", "flannel", "metallb", "traefik")},
    }
    assert world.provider.log == []
    assert not world.provider.prepared


def test_programs_and_images_are_brought_to_machines_that_lack_them(world: World, context: Context) -> None:
    world.provider.traits = FULL_MACHINES
    context.stocks = {"amd64": Stock({}, {})}
    make = "make the machine and boot it for the first time"
    assert said(plan(context))["worker-1"] == (make, "bring its programs and images", "kubeadm join")


def test_a_plan_of_what_differs_touches_neither_hosts_nor_objects(world: World, context: Context) -> None:
    built(world)
    world.hosts["worker-1"].write("/etc/hosts", "", "0644", "root:root")
    world.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker")
    found = plan(context)
    assert said(found) == {
        "worker-1": ("write /etc/hosts",),
        "metallb": ("create DaemonSet/metallb-system/speaker",),
    }
    assert any("+127.0.0.1" in diff for step in found for diff in step.diffs)
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
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch, error: PlumblineError
) -> None:
    def silent(*_: object) -> NoReturn:
        raise error

    built(world)
    monkeypatch.setattr("lab.steps.services.addon_changes", silent)
    assert something_to_do(plan(context)), "what could not be compared is not the same as nothing to change"
    world.hosts["worker-1"].write("/etc/hosts", "", "0644", "root:root")
    found = plan(context)
    assert said(found) == {"worker-1": ("write /etc/hosts",)}
    assert {step.unknown for step in found if step.unknown} == {error}


def test_what_could_not_be_compared_is_applied(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> NoReturn:
        raise DeadlineError("dry run of IPAddressPool/metallb-system/default", 20, "failed calling webhook")

    built(world)
    world.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker")
    monkeypatch.setattr("lab.steps.services.addon_changes", silent)
    assert build_lab(context)
    assert "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker" in world.api.objects


def test_what_a_plan_says_is_what_a_build_does(world: World, context: Context) -> None:
    built(world)
    world.hosts["worker-1"].write("/etc/crictl.yaml", "timeout: 2\n", "0644", "root:root")
    world.hosts["master-2"].write("/etc/containerd/config.toml", "", "0644", "root:root")
    assert said(plan(context)) == {
        "master-2": ("write /etc/containerd/config.toml; then restart containerd",),
        "worker-1": ("write /etc/crictl.yaml",),
    }
    assert build_lab(context)
    assert world.hosts["master-2"].ran == [["systemctl", "restart", "containerd"]]
    assert world.hosts["worker-1"].ran == []
    assert not something_to_do(plan(context))


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


def test_an_init_that_failed_is_undone_and_done_again_on_the_same_master(
    world: World, context: Context
) -> None:
    build_fails = world.build()
    world.failing = {"master-1"}
    with pytest.raises(StepsFailedError, match="it went wrong"):
        build_lab(build_fails)
    build_fails.run.close()
    assert world.joined() == set()
    world.failing.clear()
    build_lab(context)
    assert [host for host, _ in world.ssh.commands("kubeadm reset")] == ["master-1"]
    assert [host for verb, host in world.verbs() if verb == "init"] == ["master-1", "master-1"]
    assert world.joined() == set(world.inventory.nodes)


def test_a_join_that_failed_is_undone_and_done_again(world: World, context: Context) -> None:
    build_fails = world.build()
    world.failing = {"worker-1"}
    with pytest.raises(StepsFailedError):
        build_lab(build_fails)
    build_fails.run.close()
    world.failing.clear()
    build_lab(context)
    [(undone, command)] = world.ssh.commands("kubeadm reset")
    assert (undone, "ip link delete cni0" in command) == ("worker-1", True)
    assert [host for verb, host in world.verbs() if verb == "init"] == ["master-1"]
    assert not something_to_do(plan(context))


def left_in_the_middle(world: World, verb: str) -> None:
    """A build was killed while kubeadm worked on master-1 (init) or worker-1 (join), which goes on there."""
    name = "master-1" if verb == "init" else "worker-1"
    world.failing = {name}
    killed = world.build()
    with pytest.raises(StepsFailedError):
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
    world: World, context: Context, verb: str
) -> None:
    left_in_the_middle(world, verb)
    build_lab(context)
    assert (verb, "master-1" if verb == "init" else "worker-1") not in world.verbs()
    assert world.ssh.commands("kubeadm reset") == []
    assert world.joined() == set(world.inventory.nodes)
    assert not something_to_do(plan(context))


def test_c17_tokens_are_made_for_each_join_and_removed_after_it(world: World, context: Context) -> None:
    build_lab(context)
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


def test_c17_secrets_are_forgotten_when_the_join_fails_too(world: World, context: Context) -> None:
    world.failing = {"master-2"}
    with pytest.raises(StepsFailedError):
        build_lab(context)
    assert world.ssh.commands("token create")
    # joins that the failure stopped go on at their hosts: only the failed one's secrets are surely gone
    assert world.ssh.commands("delete secret bootstrap-token-")
    assert world.ssh.commands(" kubeadm-certs --ignore-not-found")


def test_a_leftover_is_told_with_all_that_may_be_removed_for_it(world: World, context: Context) -> None:
    built(world)
    half_finished(world.hosts["master-3"])
    assert said(plan(context)) == {
        "master-3": (
            "kubeadm: finish or undo what an earlier run began",
            "remove its dead etcd member, if there is one",
            "delete its former Node object, if there is one",
            "kubeadm join",
        )
    }


def test_what_the_plan_did_not_say_is_not_removed(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine has taken the name in the meantime."""
    built(world)
    world.lose("worker-1")
    world.api.objects.pop("/api/v1/nodes/worker-1")

    look = joining.former_life

    def then_appears(context: Context, name: str) -> joining.Former:
        found = look(context, name)
        world.api.objects["/api/v1/nodes/worker-1"] = {"metadata": {"name": "worker-1"}}
        return found

    monkeypatch.setattr(joining, "former_life", then_appears)
    with pytest.raises(StepsFailedError, match="was not there when this was planned; it is not removed"):
        build_lab(context)
    assert world.api.deleted == []
    assert world.verbs() == []


# --- steps that fail


def test_nodes_are_waited_for_though_an_add_on_failed_which_is_named(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    apply = services.apply_addon

    def refused(context: Context, addon: AddOn, old: Sequence[Item]) -> tuple[bool, str]:
        if addon.name == "metallb":
            raise ApiError("PATCH IPAddressPool/metallb-system/default", 422, "is invalid")
        return apply(context, addon, old)

    monkeypatch.setattr(services, "apply_addon", refused)
    with pytest.raises(StepsFailedError, match="422: is invalid\n  not done: ") as failed:
        build_lab(context)
    assert failed.value.exit_code == 1
    assert world.joined() == set(world.inventory.nodes)
    told = capsys.readouterr().out
    assert "add-on metallb: failed: API: PATCH IPAddressPool" in told
    assert "all nodes Ready: 0.0 s (5 nodes)" in told
    assert "flannel ready" in told
    assert "coredns ready" in told
    undone = [line for line in failed.value.message.splitlines() if line.startswith("  not done: ")]
    assert undone == [
        "  not done: add-on traefik: add-on metallb: failed",
        "  not done: metallb ready: add-on metallb: failed",
        "  not done: traefik ready: add-on traefik: not done",
    ]


def test_a_worker_that_cannot_join_stops_nobody_else(world: World, context: Context) -> None:
    world.failing = {"worker-1"}
    with pytest.raises(StepsFailedError, match="it went wrong") as failed:
        build_lab(context)
    assert "not done" not in failed.value.message
    assert world.joined() == set(world.inventory.nodes) - {"worker-1"}
    ended = {event["phase"] for event in context.run.events if not event.get("error")}
    assert {"nodes", "ready-traefik"} <= ended


def test_a_machine_that_does_not_boot_leaves_its_own_join_undone_and_is_named(
    world: World, context: Context
) -> None:
    errors = json.dumps({"v1": {"errors": ["no such package"]}})
    world.ssh.on("master-2", "cat /run/cloud-init/result.json", errors)
    with pytest.raises(StepsFailedError) as failed:
        build_lab(context)
    assert failed.value.message.splitlines() == [
        "master-2: cloud-init failed: no such package",
        "  not done: master-2: converge: master-2: first boot: failed",
        "  not done: master-2: kubeadm join: master-2: converge: not done",
    ]
    assert world.joined() == set(world.inventory.nodes) - {"master-2"}


def test_a_cluster_that_is_not_founded_leaves_everything_undone_that_needs_it(
    world: World, context: Context
) -> None:
    world.failing = {"master-1"}
    with pytest.raises(StepsFailedError) as failed:
        build_lab(context)
    assert "not done: worker-1: kubeadm join: API behind the balancer: not done" in failed.value.message
    assert world.verbs() == [("init", "master-1")]
    assert {event["phase"] for event in context.run.events} == {
        *("prepare", "machine", "boot", "converge", "init")
    }


def test_a_learner_that_a_failed_join_left_is_named_by_the_next_master(
    world: World, context: Context
) -> None:
    built(world)
    world.lose("master-3")
    listed = [
        {"ID": 10, "name": "master-1", "peerURLs": ["https://10.1.1.11:2380"]},
        {"ID": 11, "name": "", "peerURLs": ["https://10.1.1.12:2380"], "isLearner": True},
    ]
    world.ssh.on("", "member list", json.dumps({"members": listed}))
    with pytest.raises(StepsFailedError, match=r"https://10.1.1.12:2380 has begun to join and has no vote"):
        build_lab(context)
    assert world.verbs() == []


# --- the list


def fresh_steps(context: Context) -> dict[str, Step]:
    return {step.key: step for step in plan(context)}


def test_masters_join_in_a_row_and_workers_at_once(context: Context) -> None:
    steps = fresh_steps(context)
    assert steps["join:master-3"].after == {"join:master-2"}
    for name in ("worker-1", "worker-2"):
        assert steps[f"join:{name}"].needs == {"api", f"converge:{name}"}
    assert not steps["join:master-2"].after


def test_the_balancer_and_the_founder_boot_before_the_others(context: Context) -> None:
    steps = fresh_steps(context)
    assert steps["machine:haproxy"].needs == steps["machine:master-1"].needs == frozenset()
    for name in ("master-2", "master-3", "worker-1", "worker-2"):
        assert steps[f"machine:{name}"].needs == {"boot:haproxy", "boot:master-1"}
    assert steps["init:master-1"].needs == {"converge:master-1", "converge:haproxy"}


def test_add_ons_are_applied_while_nodes_join(context: Context) -> None:
    steps = fresh_steps(context)
    needs = {name: steps[f"addon-{name}"].needs for name in ("coredns", "flannel", "metallb", "traefik")}
    assert needs == {
        "coredns": {"api"},
        "flannel": {"api"},
        "metallb": {"api", "addon-flannel"},
        "traefik": {"api", "addon-metallb"},
    }
    assert {"join:worker-2", "addon-traefik"} <= steps["nodes"].after
    assert steps["ready-flannel"].needs == {"nodes", "addon-flannel"}


def test_the_phases_of_a_build_are_those_that_are_killed_in_the_lab(context: Context) -> None:
    found = dict.fromkeys(key.split(":")[0].split("-")[0] for key in fresh_steps(context))
    assert set(found) == {"prepare", *PHASES}


def test_the_steps_of_one_lab_are_always_the_same(context: Context) -> None:
    assert list(fresh_steps(context)) == list(fresh_steps(context))


def test_what_a_provider_remarks_is_told_and_is_nothing_to_do(
    world: World, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    built(world)
    moved = Blocker("hosts.worker-1.hypervisor", "machine 101 is on pve-3", "pve-1", "move it", stops=False)
    world.provider.remarked["worker-1"] = [moved]
    assert not something_to_do(plan(context))
    assert "warning: hosts.worker-1.hypervisor: machine 101 is on pve-3" in capsys.readouterr().out


def test_the_plan_of_a_new_lab_needs_no_artefacts(context: Context) -> None:
    """`invoke plan` brings none, and before there is a lab all is told without them."""
    del context.__dict__["manifests"]
    context.provided, context.lacking = None, PreflightError("no artefacts")
    told = [sentence for step in listed(operation.steps(context)) for sentence in step.will]
    assert MADE in told
    with pytest.raises(PreflightError, match="no artefacts"):
        _ = context.addon_objects
