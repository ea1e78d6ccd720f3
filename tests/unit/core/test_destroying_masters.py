"""destroy looks at etcd before it takes a master, and its plan tells all that goes."""

from __future__ import annotations

import pytest

from lab.commands import operating
from lab.errors import FailedError
from lab.hosts.converge import ETCD_DATA
from lab.ssh import Result
from tests.unit.core.site import TOY, Site, disposable


@disposable
def test_a_master_leaves_etcd_first_then_goes_and_its_node_object_last(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    world = site.world
    order: list[str] = []
    destroy, delete = world.provider.destroy, world.api.delete

    def gone(name: str) -> bool:
        order.append(f"machine, members {sorted(world.etcd)}")
        world.hosts.pop(name)
        return destroy(name)

    def deleted(path: str, options: dict[str, object] | None = None) -> bool:
        order.append(path)
        return delete(path, options)

    world.provider.destroy = gone  # type: ignore[method-assign]
    world.api.delete = deleted  # type: ignore[method-assign]
    assert site.destroy(host="master-1") == 0
    assert order == ["machine, members ['master-2', 'master-3']", "/api/v1/nodes/master-1"]
    assert [host for host, _ in world.ssh.commands("member remove")] == ["master-2"], "not through itself"
    told = capfd.readouterr().out
    assert "3 voters (master-1, master-2, master-3; all healthy), 2 needed" in told
    assert "after it: 2 voters (master-2, master-3; all healthy), 2 needed" in told
    assert "Node object removed" in told
    site.build()
    assert set(world.etcd) == {"master-1", "master-2", "master-3"}


@disposable
def test_the_loss_of_the_quorum_takes_the_explicit_word(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    world = site.world
    world.switch_off("master-2")
    assert site.destroy(host="master-1") == 3
    assert site.removed() == []
    told = capfd.readouterr().err
    assert "would lose its quorum; after it: 2 voters (master-2, master-3; not healthy: master-2)" in told
    assert "invoke destroy --host master-1 --lose-quorum" in told
    assert site.destroy(host="master-1", yes="test") == 3, "a yes to the question is no yes to this"
    assert site.destroy(host="master-1", lose_quorum=True) == 0
    assert site.removed() == ["master-1"]
    assert world.ssh.commands("member remove") == [], "etcd would refuse it"
    assert "/api/v1/nodes/master-1" not in world.api.deleted


@disposable
def test_a_dead_master_goes_as_long_as_the_others_live(site: Site) -> None:
    site.world.switch_off("master-3")
    assert site.destroy(host="master-3") == 0
    assert set(site.world.etcd) == {"master-1", "master-2"}


@disposable
def test_an_etcd_that_does_not_answer_is_no_reason_to_go_on(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.world.ssh.on("", "member list", Result(1, "", "context deadline exceeded"))
    assert site.destroy(host="master-1") == 3
    assert site.removed() == []
    assert "no etcd answers" in capfd.readouterr().err


@disposable
def test_a_master_that_never_held_data_may_always_go(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    """As in a lab whose build ended before kubeadm began."""
    site.world.ssh.on("", "member list", Result(1, "", "no such file"))
    site.world.ssh.on("", f"test -d {ETCD_DATA}", Result(1, "", ""))
    site.world.ssh.on("master-3", f"test -d {ETCD_DATA}", FailedError("master-3: no route"))
    assert site.destroy(host="master-1") == 0
    assert "master-1 holds no data" in capfd.readouterr().out
    assert site.destroy(host="master-3") == 3, "nobody can tell what is on it"


@disposable
def test_a_refused_member_removal_leaves_the_machine(site: Site) -> None:
    site.world.ssh.on("", "member remove", Result(1, "", "etcdserver: unhealthy cluster"))
    assert site.destroy(host="master-1") == 1
    assert site.removed() == []


@pytest.mark.parametrize("host", ["", "worker-1"])
def test_a_word_about_the_quorum_needs_a_master(
    site: Site, host: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert site.destroy(host=host, lose_quorum=True, yes="test") == 2
    assert site.removed() == []
    assert "next: invoke destroy --host master-1 --lose-quorum" in capfd.readouterr().err


# --- the plan


@disposable
def test_the_plan_of_a_removal_has_all_that_is_destroyed(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    assert site.plan(host="master-1") == operating.SOMETHING_TO_DO
    told = [" ".join(line.split()[1:]) for line in capfd.readouterr().out.splitlines()]
    assert told == [
        "master-1 etcd: 3 voters (master-1, master-2, master-3; all healthy), 2 needed",
        "master-1 etcd: its member is removed first; after it: 2 voters (master-2, master-3; all healthy), 2 "
        "needed: no further loss survived until another joins",
        "master-1 remove the machine with all data",
        "master-1 delete the Node object master-1",
    ]
    assert site.plan() == operating.SOMETHING_TO_DO
    told = [" ".join(line.split()[1:]) for line in capfd.readouterr().out.splitlines()]
    assert told[:6] == [f"{name}: remove the machine with all data" for name in sorted(TOY.hosts)]
    assert site.removed() == []
    assert site.world.ssh.commands("member remove") == []


def test_a_plan_asks_nobody(site: Site) -> None:
    assert site.plan() == site.plan(host="worker-1") == operating.SOMETHING_TO_DO
    assert site.asked == []


@disposable
def test_the_plan_of_a_removal_that_is_refused_is_refused(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    site.world.switch_off("master-2")
    assert site.plan(host="master-1") == 3
    assert "would lose its quorum" in capfd.readouterr().err
    assert site.plan(host="master-1", lose_quorum=True) == operating.SOMETHING_TO_DO
    assert "as --lose-quorum says: etcd would lose its quorum" in capfd.readouterr().out


def test_where_nothing_is_the_plan_says_so(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    assert site.destroy(yes="test") == 0
    assert site.plan() == site.plan(host="master-1") == 0
    assert capfd.readouterr().out.count("nothing to remove") == 2


@disposable
@pytest.mark.parametrize("done", ["member", "machine"])
def test_a_removal_that_was_killed_is_finished_by_the_same_command(site: Site, done: str) -> None:
    world = site.world
    world.etcd.pop("master-1")
    if done == "machine":
        world.lose("master-1")
    assert site.destroy(host="master-1") == 0
    assert "master-1" not in world.provider.states
    assert world.api.deleted == ["/api/v1/nodes/master-1"]
    assert site.plan(host="master-1") == 0
