"""Add-ons: applied in an order that works, planned exactly, waited for by name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.addons import AddOn, selected
from lab.cluster.api import ApiError
from lab.cluster.apply import ObjectChange
from lab.errors import DeadlineError
from lab.render.components import kubelet_settings
from lab.steps import hosts, services
from lab.steps.addons import KUBELET, applying, compared
from lab.steps.context import Build
from lab.steps.engine import Stopped
from tests.fakes import FakeClock
from tests.world import World, inventory


def addon(name: str) -> AddOn:
    return next(item for item in selected(inventory()) if item.name == name)


@pytest.fixture
def up(up: World) -> World:
    """A cluster without add-ons."""
    for name in up.inventory.nodes:
        up.becomes_member(name, founding=name == "master-1")
    return up


def test_a_namespace_comes_first_then_the_secret_and_a_webhook_last(up: World, build: Build) -> None:
    changed, remark = services.apply_addon(build, addon("metallb"))
    assert changed
    kinds = [path.split("/")[-2] for path in up.api.applied]
    assert kinds[0] == "namespaces"
    assert kinds[1] == "secrets"
    assert kinds[2] == "customresourcedefinitions"
    assert kinds[-1] == "validatingwebhookconfigurations"
    assert remark == f"{len(kinds)} objects"


def test_an_add_on_that_is_as_it_should_be_is_not_changed(up: World, build: Build) -> None:
    services.apply_addon(build, addon("metallb"))
    secret = up.api.objects["/api/v1/namespaces/metallb-system/secrets/memberlist"]
    assert services.apply_addon(build, addon("metallb")) == (False, "")
    assert up.api.objects["/api/v1/namespaces/metallb-system/secrets/memberlist"] == secret


def test_the_plan_names_what_applying_would_change_and_nothing_else(up: World, build: Build) -> None:
    [coredns] = services.addon_changes(build, addon("coredns"))
    assert coredns.name == "Deployment/kube-system/coredns"
    assert coredns.before
    assert all(not item.before for item in services.addon_changes(build, addon("metallb")))
    assert up.api.applied == []
    for item in selected(build.lab.inventory):
        services.apply_addon(build, item)
    assert compared(build) == {name: [] for name in ("kubelet", "coredns", "flannel", "metallb", "traefik")}


def test_a_step_of_an_add_on_says_what_it_creates_and_changes_and_is_there_only_then(
    up: World, build: Build
) -> None:
    steps = {step.key: step for step in applying(build, compared(build))}
    assert list(steps) == ["addon-coredns", "addon-flannel", "addon-metallb", "addon-traefik"]
    assert steps["addon-coredns"].will == ("change Deployment/kube-system/coredns",)
    assert "create Namespace/metallb-system" in steps["addon-metallb"].will
    assert len(steps["addon-coredns"].diffs) == 1
    assert steps["addon-metallb"].diffs == (), "a new object's diff would be the whole object"
    for item in selected(build.lab.inventory):
        services.apply_addon(build, item)
    assert applying(build, compared(build)) == []
    up.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker")
    [step] = applying(build, compared(build))
    assert step.will == ("create DaemonSet/metallb-system/speaker",)


def test_an_add_on_of_which_nobody_can_tell_is_a_step_that_says_why(up: World, build: Build) -> None:
    up.api.answers = False
    steps = applying(build, compared(build))
    assert steps[0].key == KUBELET
    assert {step.will for step in steps} == {()}
    assert all(isinstance(step.unknown, DeadlineError) for step in steps)


def test_the_other_add_ons_are_compared_though_a_webhook_of_one_does_not_serve(
    up: World, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: Build, wanted: AddOn) -> list[ObjectChange]:
        if wanted.name == "metallb":
            raise DeadlineError(
                "dry run of IPAddressPool/metallb-system/default", 20, "failed calling webhook"
            )
        return []

    monkeypatch.setattr(services, "addon_changes", silent)
    [step] = applying(build, compared(build))
    assert (step.key, step.will) == ("addon-metallb", ())
    assert "failed calling webhook" in str(step.unknown)
    assert up.api.applied == []


def test_drift_of_one_object_is_planned_as_a_diff(up: World, build: Build) -> None:
    for item in selected(build.lab.inventory):
        services.apply_addon(build, item)
    path = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/default"
    up.api.objects[path]["spec"]["addresses"] = ["10.1.1.200-10.1.1.210"]
    [change] = services.addon_changes(build, addon("metallb"))
    assert change.name == "IPAddressPool/metallb-system/default"
    assert "-  - 10.1.1.200-10.1.1.210" in change.diff
    assert "+  - 10.1.1.100-10.1.1.150" in change.diff


def test_nodes_are_waited_for_and_the_missing_ones_named(up: World, build: Build) -> None:
    assert services.nodes(build) == (False, "5 nodes")
    up.lose("worker-2")
    with pytest.raises(
        DeadlineError, match="all nodes Ready: not within 300 s; last seen: not joined: worker-2"
    ):
        services.nodes(build)


def test_a_node_of_which_a_step_has_failed_is_not_waited_for(up: World, build: Build) -> None:
    up.lose("worker-2")
    build.engine.lost |= {"boot:worker-2", "addon-metallb"}
    assert services.nodes(build) == (False, "4 nodes")


def test_a_workload_is_waited_for_and_named(up: World, build: Build, clock: FakeClock) -> None:
    for item in selected(build.lab.inventory):
        services.apply_addon(build, item)
        assert services.addon_ready(build, item) == (False, "")
    path = "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"
    up.api.objects[path]["status"]["numberReady"] = 0
    begun = clock.now
    with pytest.raises(DeadlineError, match="metallb: daemonset/metallb-system/speaker: not within 300 s"):
        services.addon_ready(build, addon("metallb"))
    assert clock.now - begun == pytest.approx(services.READY_SECONDS, abs=1)


def test_an_api_that_goes_away_while_it_is_waited_for_is_not_the_end(
    up: World, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ApiError("GET nodes", 500, "etcdserver: leader changed"), None])
    items = up.api.items

    def flaky(path: str) -> object:
        error = next(answers, None)
        if error:
            raise error
        return items(path)

    monkeypatch.setattr(up.api, "items", flaky)
    services.nodes(build)


def test_a_wait_is_left_when_the_build_is_stopped(up: World, build: Build) -> None:
    up.lose("worker-1")
    build.engine.stop.set()
    with pytest.raises(Stopped):
        services.nodes(build)


def test_convergence_keeps_what_it_changed_as_evidence_and_tells_it(up: World, build: Build) -> None:
    up.hosts["haproxy"].write("/etc/haproxy/haproxy.cfg", "old line\n", "0600", "root:root")
    assert hosts.converge(build, "haproxy") == (
        True,
        "write /etc/haproxy/haproxy.cfg; then reload haproxy",
    )
    assert up.hosts["haproxy"].ran == [["systemctl", "try-reload-or-restart", "haproxy"]]
    kept = (build.run.folder / "changes/haproxy.txt").read_text()
    assert "-old line\n" in kept
    assert "+frontend kube-apiserver" in kept
    assert hosts.converge(build, "haproxy") == (False, "")


def test_notes_reach_the_log_once_for_each_state(build: Build) -> None:
    note = build.noting("boot:m1")
    with build.console.working("boot:m1", "m1: boot"):
        for state in ("refused", "refused", "running"):
            note(state)
    log = (build.run.folder / "debug.log").read_text()
    assert log.count("boot:m1: refused") == 1
    assert log.count("boot:m1: running") == 1


def settings_of(up: World) -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load(up.api.objects[services.KUBELET_CONFIGMAP]["data"]["kubelet"])
    return held


def with_kubelet_settings(up: World, **changes: Any) -> None:
    """The ConfigMap as kubeadm leaves it: our settings, and some of its own."""
    wanted = kubelet_settings(up.inventory, up.provider.traits) | {"clusterDomain": "cluster.local"} | changes
    up.api.objects[services.KUBELET_CONFIGMAP] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kubelet-config", "namespace": "kube-system", "resourceVersion": "7"},
        "data": {"kubelet": yaml.safe_dump(wanted)},
    }


def test_kubelet_settings_that_are_in_the_cluster_are_left_alone(up: World, build: Build) -> None:
    with_kubelet_settings(up)
    assert services.kubelet_changes(build) == []
    assert services.apply_kubelet_configuration(build) == (False, "")


def test_a_changed_kubelet_setting_is_planned_and_applied_beside_kubeadms_own(
    up: World, build: Build
) -> None:
    with_kubelet_settings(up, containerLogMaxSize="99Mi")
    [change] = services.kubelet_changes(build)
    assert "-    containerLogMaxSize: 99Mi" in change.diff
    assert "+    containerLogMaxSize: 10Mi" in change.diff
    assert services.apply_kubelet_configuration(build) == (True, "")
    assert settings_of(up)["containerLogMaxSize"] == "10Mi"
    assert settings_of(up)["clusterDomain"] == "cluster.local"
    assert services.kubelet_changes(build) == []


def test_a_cluster_without_kubelet_settings_is_not_given_any(build: Build) -> None:
    assert services.kubelet_configuration(build) is None
