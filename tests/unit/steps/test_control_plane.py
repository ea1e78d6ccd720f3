"""The cluster's birth and its members: evidence once more before an init, one clean join for everybody."""

from __future__ import annotations

import pytest

from lab.errors import CommandError, DeadlineError, FailedError, PreflightError
from lab.hosts.converge import ETCD_DATA, KUBELET_CONF, compare
from lab.machines import State
from lab.ssh import Result
from lab.steps import control_plane, joining
from lab.steps.context import Context
from lab.steps.gather import gather
from tests import born
from tests.fake_host import half_finished
from tests.fakes import FakeClock
from tests.world import CERTIFICATE_KEY, TOKEN, World


def test_an_init_is_refused_when_a_cluster_was_born_in_the_meantime(up: World, context: Context) -> None:
    up.becomes_member("master-2", founding=True)
    with pytest.raises(FailedError, match="master-1: no cluster is founded here"):
        control_plane.found(context, "master-1")
    assert up.verbs() == []


@pytest.mark.parametrize("hidden", [State.OFF, State.PAUSED])
def test_an_init_is_refused_when_a_node_that_may_hold_a_cluster_went_off(
    up: World, context: Context, hidden: State
) -> None:
    up.provider.states["worker-2"] = hidden
    with pytest.raises(FailedError, match="no cluster is founded here"):
        control_plane.found(context, "master-1")
    assert up.verbs() == []


def test_an_init_is_refused_where_another_master_has_begun(up: World, context: Context) -> None:
    half_finished(up.hosts["master-3"])
    with pytest.raises(FailedError, match="has begun"):
        control_plane.found(context, "master-1")
    assert control_plane.found(context, "master-3") == (True, "continued")
    assert up.verbs() == [("init", "master-3")]


def test_an_init_looks_only_at_nodes_that_this_build_did_not_just_make(up: World, context: Context) -> None:
    context.fresh = set(up.inventory.nodes) - {"worker-1"}
    control_plane.found(context, "master-1")
    assert {host for host, _ in up.ssh.commands("python3 -c")} == {"master-1", "worker-1"}


def test_the_init_document_is_that_of_the_host_and_holds_no_secret(up: World, context: Context) -> None:
    control_plane.found(context, "master-1")
    [(verb, host, document)] = up.kubeadm_runs
    assert (verb, host) == ("init", "master-1")
    assert document["localAPIEndpoint"]["advertiseAddress"] == "10.1.1.11"
    assert not {"bootstrapTokens", "certificateKey"} & set(document)


def test_a_join_of_a_member_does_nothing(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    assert joining.join(context, "master-1") == (False, "")
    assert up.verbs() == []
    assert up.ssh.commands("token create") == []


@pytest.mark.parametrize("endpoint", ["", "10.1.1.11:6443"])
def test_c16_nobody_joins_a_cluster_whose_endpoint_is_not_the_balancer(
    up: World, context: Context, endpoint: str
) -> None:
    """C16: the cure takes two steps, and joining first would make it worse."""
    up.becomes_member("master-1", founding=True)
    held = born.configuration(up) | {"controlPlaneEndpoint": endpoint}
    born.upload(up, held)
    with pytest.raises(PreflightError, match=f"has {endpoint or 'not set'}, .* 10.1.1.50:6443") as refused:
        joining.join(context, "worker-1")
    assert "invoke destroy, then invoke build" in refused.value.next_step
    assert up.verbs() == []
    born.upload(up, held | {"controlPlaneEndpoint": "10.1.1.50:6443"})
    assert joining.join(context, "worker-1") == (True, "")


def test_a_worker_joins_with_a_token_and_without_a_certificate_key(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    assert joining.join(context, "worker-1") == (True, "")
    [(_, _, document)] = up.kubeadm_runs
    assert document["discovery"]["bootstrapToken"]["token"] == TOKEN
    assert document["discovery"]["bootstrapToken"]["apiServerEndpoint"] == "10.1.1.50:6443"
    assert CERTIFICATE_KEY not in str(document)
    assert up.ssh.commands("etcdctl") == []


def test_c17_a_master_joins_with_a_certificate_key_that_is_removed_afterwards(
    up: World, context: Context
) -> None:
    up.becomes_member("master-1", founding=True)
    joining.join(context, "master-2")
    [(_, _, document)] = up.kubeadm_runs
    assert document["controlPlane"]["certificateKey"] == CERTIFICATE_KEY
    assert [host for host, _ in up.ssh.commands(" kubeadm-certs --ignore-not-found")] == ["master-1"]


def test_a_node_of_a_former_life_is_removed_before_the_join_and_told(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.api.objects["/api/v1/nodes/worker-1"] = {"metadata": {"name": "worker-1"}}
    assert joining.join(context, "worker-1") == (True, "former Node object removed")


def test_a_half_finished_join_is_undone_first(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.hosts["worker-1"].exists = {KUBELET_CONF}
    changed, remark = joining.join(context, "worker-1")
    assert changed
    assert remark == "after undoing a half-finished join"
    asked = [
        command for host, command in up.ssh.commands() if host == "worker-1" and "python3" not in command
    ]
    assert "kubeadm reset" in asked[0]
    assert "kubeadm join" in asked[1]


@pytest.mark.parametrize("name", ["worker-1", "master-2"])
def test_a_join_to_which_the_api_answered_too_late_is_undone_and_made_again(
    up: World, context: Context, name: str
) -> None:
    """Seen in emulation: kubeadm gives some calls 10 s, once, and a slow API server is not a dead one."""
    up.becomes_member("master-1", founding=True)
    up.late[name] = 2
    changed, remark = joining.join(context, name, joining.NOTHING)
    assert changed
    again = "after undoing a half-finished join; former Node object removed"
    assert remark == f"{again}; {again}"
    assert up.verbs() == [("join", name)] * 3
    assert up.hosts[name].joined
    assert len(up.ssh.commands("token create")) == len(up.ssh.commands("delete secret bootstrap-token")) == 3


def test_a_join_is_given_up_after_three_tries_with_what_kubeadm_said(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.late["worker-1"] = 3
    with pytest.raises(CommandError, match="Timeout exceeded while awaiting"):
        joining.join(context, "worker-1")
    assert up.verbs() == [("join", "worker-1")] * 3


def test_a_join_that_cannot_be_is_tried_once(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.failing = {"worker-1"}
    with pytest.raises(CommandError, match="it went wrong"):
        joining.join(context, "worker-1")
    assert up.verbs() == [("join", "worker-1")]


def test_a_master_with_only_etcd_data_left_is_undone_too(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.hosts["master-2"].exists = {ETCD_DATA}
    joining.join(context, "master-2")
    assert [host for host, _ in up.ssh.commands("kubeadm reset")] == ["master-2"]


def test_c14_nothing_is_removed_and_nobody_joins_when_the_quorum_would_go(
    up: World, context: Context
) -> None:
    for number in (1, 2, 3):
        up.becomes_member(f"master-{number}", founding=number == 1)
    up.provider.states["master-2"] = State.OFF
    up.hosts["master-3"].exists.clear()
    with pytest.raises(
        FailedError, match="removing master-3 would leave 1 of 2 voters; not healthy: master-2"
    ):
        joining.join(context, "master-3")
    assert set(up.etcd) == {"master-1", "master-2", "master-3"}
    assert up.verbs() == []
    assert up.api.deleted == []


def test_a_join_goes_through_a_master_whose_api_server_is_ready(up: World, context: Context) -> None:
    for number in (1, 2, 3):
        up.becomes_member(f"master-{number}", founding=number == 1)
    up.ssh.on("master-1", "get --raw /readyz", DeadlineError("master-1: `kubectl`", 10, "still running"))
    up.ssh.on("master-2", "get --raw /readyz", Result(1, "", "connection refused"))
    joining.join(context, "worker-1")
    assert [host for host, _ in up.ssh.commands("token create")] == ["master-3"]


def test_a_join_without_a_ready_master_is_refused(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.ssh.on("", "get --raw /readyz", Result(1, "", "connection refused"))
    with pytest.raises(FailedError, match="no master of the cluster is ready") as refused:
        joining.join(context, "worker-1")
    assert "invoke status" in refused.value.next_step
    assert up.ssh.commands("token create") == []


def test_the_api_is_waited_for_and_named_when_it_does_not_come(
    world: World, context: Context, clock: FakeClock
) -> None:
    world.api.answers = False
    begun = clock.now
    with pytest.raises(DeadlineError, match=r"https://10.1.1.50:6443/readyz does not answer 200"):
        control_plane.api_answers(context)
    assert clock.now - begun == pytest.approx(control_plane.API_SECONDS, abs=1)
    world.api.answers = True
    assert control_plane.api_answers(context) == (False, "")


def test_facts_are_gathered_without_changing_anything(up: World, context: Context) -> None:
    found = gather(context, tuple(up.inventory.hosts))
    assert set(found.hosts) == set(up.inventory.hosts)
    assert found.joined(up.inventory.nodes) == ()
    said = [command for _, command in up.ssh.commands() if not command.startswith("python3")]
    assert [command.split("'")[1] for command in said] == ["show servers state kube-apiservers"]
    assert all(host.ran == [] for host in up.hosts.values())


def test_a_host_that_still_boots_is_waited_for_before_it_is_judged(up: World, context: Context) -> None:
    """A build was killed during a first boot: what is not there yet is no drift."""
    host = up.hosts["worker-1"]
    host.booting, files = True, dict(host.files)
    host.files.clear()

    def ends(_: object) -> str:
        host.booting = False
        host.files.update(files)
        return '{"v1": {"errors": []}}'

    up.ssh.on("worker-1", "cat /run/cloud-init/result.json", ends)
    found = gather(context, tuple(up.inventory.hosts))
    assert compare(context.bundles["worker-1"], found.hosts["worker-1"]) == ()


def test_nothing_is_decided_about_a_machine_that_runs_and_cannot_be_looked_at(
    up: World, context: Context
) -> None:
    gone = FailedError("master-2: not reachable by SSH: no route to host")
    up.ssh.on("master-2", "", gone)
    with pytest.raises((FailedError, DeadlineError), match="master-2"):
        gather(context, tuple(up.inventory.hosts))


def test_a_lab_without_running_machines_needs_no_network_to_be_looked_at(
    world: World, context: Context
) -> None:
    found = gather(context, tuple(world.inventory.hosts))
    assert found.hosts == {}
    assert not world.provider.prepared


def test_a_failed_join_shows_the_end_of_kubeadms_own_output(up: World, context: Context) -> None:
    up.becomes_member("master-1", founding=True)
    up.failing = {"worker-1"}
    with pytest.raises(CommandError, match="it went wrong") as failed:
        joining.join(context, "worker-1")
    assert failed.value.host == "worker-1"
