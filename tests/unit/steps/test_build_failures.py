"""A build after one that failed, and what a failure leaves undone."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from lab.addons import AddOn
from lab.cluster.api import ApiError
from lab.cluster.discovery import Item
from lab.steps import joining, services
from lab.steps.context import Context
from lab.steps.engine import MOST_UNDONE, StepsFailedError, something_to_do
from tests.fake_host import half_finished
from tests.fakes import Call
from tests.unit.steps.building import build_lab, built, plan, said
from tests.world import TOKEN, World

pytestmark = pytest.mark.usefixtures("nothing_unplanned")


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
    world: World, context: Context, capsys: pytest.CaptureFixture[str]
) -> None:
    world.failing = {"master-1"}
    with pytest.raises(StepsFailedError) as failed:
        build_lab(context)
    undone = [line for line in failed.value.message.splitlines() if line.startswith("  not done: ")]
    assert len(undone) == MOST_UNDONE
    told = capsys.readouterr().out
    assert "kubeadm join: not done: API behind the balancer: not done" in told
    assert undone[-1] == f"  not done: {told.count(': not done: ') - MOST_UNDONE + 1} more steps, named above"
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
