"""The whole build against a lab without machines: what it does, in which order, and when it does nothing."""

from __future__ import annotations

from typing import NoReturn

import pytest

from lab.artifacts.stock import Stock
from lab.cluster.api import Unavailable
from lab.cluster.apply import ObjectChange
from lab.errors import DeadlineError, PlumblineError, PreflightError
from lab.machines import Blocker
from lab.operations import build as operation
from lab.steps import services
from lab.steps.context import Context
from lab.steps.engine import Step, listed, something_to_do
from lab.steps.machines import MADE
from tests.fakes import FULL_MACHINES
from tests.integration.test_lab_story import PHASES
from tests.unit.steps.building import build_lab, built, plan, said
from tests.world import World

pytestmark = pytest.mark.usefixtures("nothing_unplanned")


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


@pytest.mark.parametrize("changed", [False, True], ids=["hosts in order", "a host to mend"])
def test_objects_are_compared_again_when_hosts_were_changed_meanwhile(
    world: World, context: Context, monkeypatch: pytest.MonkeyPatch, changed: bool
) -> None:
    built(world)
    if changed:
        world.hosts["worker-1"].write("/etc/hosts", "", "0644", "root:root")
    mended: list[bool] = []
    first = services.kubelet_changes

    def counted(context: Context) -> list[ObjectChange]:
        mended.append(world.hosts["worker-1"].files["/etc/hosts"]["text"] != "")
        return first(context)

    monkeypatch.setattr(services, "kubelet_changes", counted)
    assert build_lab(context) is changed
    assert mended == ([False, True] if changed else [True])


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
