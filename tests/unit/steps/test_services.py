"""Add-ons: applied in an order that works, planned exactly."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from lab.addons import AddOn, selected
from lab.cluster.apply import ObjectChange
from lab.cluster.kubelets import CONFIGMAP
from lab.errors import DeadlineError
from lab.render.components import kubelet_settings
from lab.steps import hosts, services
from lab.steps.addons import KUBELET, applying, compared
from lab.steps.context import Context
from tests.world import World, inventory


def addon(name: str) -> AddOn:
    return next(item for item in selected(inventory()) if item.name == name)


@pytest.fixture
def up(up: World) -> World:
    """A cluster without add-ons."""
    for name in up.inventory.nodes:
        up.becomes_member(name, founding=name == "master-1")
    return up


def test_a_namespace_comes_first_then_the_secret_and_a_webhook_last(up: World, context: Context) -> None:
    changed, remark = services.apply_addon(context, addon("metallb"))
    assert changed
    kinds = [path.split("/")[-2] for path in up.api.applied]
    assert kinds[0] == "namespaces"
    assert kinds[1:3] == ["secrets", "secrets"], "that of the members, and the webhook's first certificate"
    assert kinds[3] == "customresourcedefinitions"
    assert kinds[-1] == "validatingwebhookconfigurations"
    assert remark == f"{len(kinds)} objects"


def test_an_add_on_that_is_as_it_should_be_is_not_changed(up: World, context: Context) -> None:
    services.apply_addon(context, addon("metallb"))
    secret = up.api.objects["/api/v1/namespaces/metallb-system/secrets/memberlist"]
    assert services.apply_addon(context, addon("metallb")) == (False, "")
    assert up.api.objects["/api/v1/namespaces/metallb-system/secrets/memberlist"] == secret


def test_the_plan_names_what_applying_would_change_and_nothing_else(up: World, context: Context) -> None:
    coredns = services.addon_changes(context, addon("coredns"))
    names = ["ConfigMap/kube-system/coredns", "Deployment/kube-system/coredns"]
    assert [change.name for change in coredns] == names
    assert all(change.before for change in coredns)
    assert all(not item.before for item in services.addon_changes(context, addon("metallb")))
    assert up.api.applied == []
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
    assert compared(context) == {name: [] for name in ("kubelet", "coredns", "flannel", "metallb", "traefik")}


def test_a_step_of_an_add_on_says_what_it_creates_and_changes_and_is_there_only_then(
    up: World, context: Context
) -> None:
    steps = {step.key: step for step in applying(context, compared(context))}
    assert list(steps) == ["addon-coredns", "addon-flannel", "addon-metallb", "addon-traefik"]
    changes = ("change ConfigMap/kube-system/coredns", "change Deployment/kube-system/coredns")
    assert steps["addon-coredns"].will == changes
    assert "create Namespace/metallb-system" in steps["addon-metallb"].will
    assert len(steps["addon-coredns"].diffs) == len(changes)
    assert steps["addon-metallb"].diffs == (), "a new object's diff would be the whole object"
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
    assert applying(context, compared(context)) == []
    up.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker")
    [step] = applying(context, compared(context))
    assert step.will == ("create DaemonSet/metallb-system/speaker",)


def test_an_add_on_of_which_nobody_can_tell_is_a_step_that_says_why(up: World, context: Context) -> None:
    up.api.answers = False
    steps = applying(context, compared(context))
    assert steps[0].key == KUBELET
    assert {step.will for step in steps} == {()}
    assert all(isinstance(step.unknown, DeadlineError) for step in steps)


def test_the_other_add_ons_are_compared_though_a_webhook_of_one_does_not_serve(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(_: Context, wanted: AddOn) -> list[ObjectChange]:
        if wanted.name == "metallb":
            raise DeadlineError(
                "dry run of IPAddressPool/metallb-system/default", 20, "failed calling webhook"
            )
        return []

    monkeypatch.setattr(services, "addon_changes", silent)
    [step] = applying(context, compared(context))
    assert (step.key, step.will) == ("addon-metallb", ())
    assert "failed calling webhook" in str(step.unknown)
    assert up.api.applied == []


def test_drift_of_one_object_is_planned_as_a_diff(up: World, context: Context) -> None:
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
    path = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools/default"
    up.api.objects[path]["spec"]["addresses"] = ["10.1.1.200-10.1.1.210"]
    [change] = services.addon_changes(context, addon("metallb"))
    assert change.name == "IPAddressPool/metallb-system/default"
    assert "-  - 10.1.1.200-10.1.1.210" in change.diff
    assert "+  - 10.1.1.100-10.1.1.150" in change.diff


def test_convergence_keeps_what_it_changed_as_evidence_and_tells_it(up: World, context: Context) -> None:
    up.hosts["haproxy"].write("/etc/haproxy/haproxy.cfg", "old line\n", "0600", "root:root")
    assert hosts.converge(context, "haproxy") == (
        True,
        "write /etc/haproxy/haproxy.cfg; then reload haproxy",
    )
    assert up.hosts["haproxy"].ran == [["systemctl", "try-reload-or-restart", "haproxy"]]
    kept = (context.run.folder / "changes/haproxy.txt").read_text()
    assert "-old line\n" in kept
    assert "+frontend kube-apiserver" in kept
    assert hosts.converge(context, "haproxy") == (False, "")


def test_notes_reach_the_log_once_for_each_state(context: Context) -> None:
    note = context.noting("boot:m1")
    with context.console.working("boot:m1", "m1: boot"):
        for state in ("refused", "refused", "running"):
            note(state)
    log = (context.run.folder / "debug.log").read_text()
    assert log.count("boot:m1: refused") == 1
    assert log.count("boot:m1: running") == 1


def settings_of(up: World) -> dict[str, Any]:
    held: dict[str, Any] = yaml.safe_load(up.api.objects[CONFIGMAP]["data"]["kubelet"])
    return held


def with_kubelet_settings(up: World, **changes: Any) -> None:
    """The ConfigMap as kubeadm leaves it: our settings, and some of its own."""
    wanted = kubelet_settings(up.inventory, up.provider.traits) | {"clusterDomain": "cluster.local"} | changes
    up.api.objects[CONFIGMAP] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "kubelet-config", "namespace": "kube-system", "resourceVersion": "7"},
        "data": {"kubelet": yaml.safe_dump(wanted)},
    }


def test_kubelet_settings_that_are_in_the_cluster_are_left_alone(up: World, context: Context) -> None:
    with_kubelet_settings(up)
    assert services.kubelet_changes(context) == []
    assert services.apply_kubelet_configuration(context) == (False, "")


def test_a_changed_kubelet_setting_is_planned_and_applied_beside_kubeadms_own(
    up: World, context: Context
) -> None:
    with_kubelet_settings(up, containerLogMaxSize="99Mi")
    [change] = services.kubelet_changes(context)
    assert "-    containerLogMaxSize: 99Mi" in change.diff
    assert "+    containerLogMaxSize: 10Mi" in change.diff
    assert services.apply_kubelet_configuration(context) == (True, "")
    assert settings_of(up)["containerLogMaxSize"] == "10Mi"
    assert settings_of(up)["clusterDomain"] == "cluster.local"
    assert services.kubelet_changes(context) == []


def test_a_cluster_without_kubelet_settings_is_not_given_any(context: Context) -> None:
    assert services.kubelet_configuration(context) is None
