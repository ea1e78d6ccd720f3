"""Objects as rendered: those of add-ons, of kubeadm, and the kubelets' settings, against a fake cluster."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab.addons import AddOn, selected
from lab.checks import rendered as module
from lab.checks import verbs
from lab.checks.driver import Driver
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.checks.rendered import Rendered, agree
from lab.cluster import kubelets
from lab.errors import FailedError
from lab.labs import Lab
from lab.objects import Object
from lab.render.bundle import pins
from lab.render.components import kubelet_settings
from tests.fake_api import FakeApi, FakeCluster
from tests.fakes import CONTAINERS, FakeClock, FakeProvider, FakeSsh
from tests.world import MANIFESTS, inventory

COREDNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
PROXY = "/api/v1/namespaces/kube-system/configmaps/kube-proxy"
PRINTED = """\
[dryrun] Attached object:
\tapiVersion: apps/v1
\tkind: Deployment
\tmetadata: {name: coredns, namespace: kube-system}
\tspec: {template: {spec: {dnsPolicy: Default}}}
[dryrun] Attached object:
\tapiVersion: v1
\tkind: ConfigMap
\tmetadata: {name: kube-proxy, namespace: kube-system}
\tdata: {config.conf: "mode: iptables"}
"""


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def ssh() -> FakeSsh:
    made = FakeSsh()
    made.on("", "kubeadm init phase addon all", PRINTED)
    return made


@pytest.fixture
def rendered(tmp_path: Path, api: FakeApi, ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch) -> Rendered:
    """A lab whose cluster has everything as rendered."""
    monkeypatch.setattr(module, "provide_files", lambda *_, **__: MANIFESTS)
    monkeypatch.setattr(verbs, "time", FakeClock())
    lab = Lab(inventory(), tmp_path, FakeProvider(), ssh=ssh)
    found = Rendered(Driver(lab, tmp_path / "run", pins(lab.inventory), stand_in=FakeCluster(api)))
    for items in (*found.of_addons.values(), found.of_kubeadm):
        for item in sorted(items, key=lambda item: item["kind"] != "Namespace"):
            api.apply(item)
    return found


def addon(name: str) -> AddOn:
    return next(item for item in selected(inventory()) if item.name == name)


def test_what_is_as_rendered_is_accepted(rendered: Rendered) -> None:
    assert rendered.addon(addon("flannel")) == []
    assert rendered.addon(addon("coredns")) == []
    assert rendered.kubeadm() == []
    agree("Flannel", lambda: rendered.addon(addon("flannel")))


def test_what_differs_is_named_with_object_and_field(rendered: Rendered, api: FakeApi) -> None:
    path = "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"
    [container] = api.objects[path]["spec"]["template"]["spec"]["containers"]
    container["image"] = "example/speaker:other"
    with pytest.raises(Mismatch) as told:
        agree("MetalLB", lambda: rendered.addon(addon("metallb")))
    assert told.value.subject == "objects of MetalLB"
    field = "spec.template.spec.containers[name=speaker].image"
    change = "example/speaker:other (rendered: example/speaker:v1)"
    assert f"DaemonSet/metallb-system/speaker {field}: {change}" in told.value.seen


def test_a_secret_and_a_certificate_that_are_missing_are_named(rendered: Rendered, api: FakeApi) -> None:
    told = [str(one) for one in rendered.addon(addon("metallb"))]
    assert told == ["Secret/metallb-system/memberlist: does not exist (rendered: there)"]
    api.objects["/api/v1/namespaces/metallb-system/secrets/memberlist"] = {"data": {"secretkey": "eA=="}}
    assert rendered.addon(addon("metallb")) == []
    [told_of_traefik] = map(str, rendered.addon(addon("traefik")))
    assert told_of_traefik.startswith("Secret/traefik/default-certificate: does not exist")


def test_an_object_that_an_add_on_only_adds_to_is_compared_whole(rendered: Rendered, api: FakeApi) -> None:
    spec = api.objects[COREDNS]["spec"]["template"]["spec"]
    assert "affinity" in spec
    spec["dnsPolicy"] = "ClusterFirst"
    [told] = rendered.addon(addon("coredns"))
    assert str(told).endswith("spec.template.spec.dnsPolicy: ClusterFirst (rendered: Default)")
    assert rendered.kubeadm() == [], "it is told once"


def test_what_kubeadm_made_is_compared_with_what_it_would_make(rendered: Rendered, api: FakeApi) -> None:
    api.objects[PROXY]["data"]["config.conf"] = "mode: ipvs"
    [told] = rendered.kubeadm()
    assert str(told) == "ConfigMap/kube-system/kube-proxy data.config.conf.mode: ipvs (rendered: iptables)"


def test_the_next_master_is_asked_when_one_does_not_answer(rendered: Rendered, ssh: FakeSsh) -> None:
    del rendered.__dict__["of_kubeadm"]
    ssh.on("master-1", "kubeadm init", FailedError("master-1: not reachable"))
    assert len(rendered.of_kubeadm) == 2
    del rendered.__dict__["of_kubeadm"]
    ssh.on("", "kubeadm init", "no objects")
    with pytest.raises(CouldNotTell, match=r"master-1: .*; master-2: .*names no object"):
        _ = rendered.of_kubeadm


def configmap(**settings: object) -> Object:
    wanted = kubelet_settings(inventory(), CONTAINERS) | settings
    return {"data": {"kubelet": yaml.safe_dump(wanted)}}


def test_the_kubelets_settings_are_compared_one_by_one(rendered: Rendered, api: FakeApi) -> None:
    assert [str(one) for one in rendered.kubelets()] == [
        f"{kubelets.TITLE}: does not exist (rendered: there)"
    ]
    api.objects[kubelets.CONFIGMAP] = configmap(clusterDomain="cluster.local")
    assert rendered.kubelets() == []
    api.objects[kubelets.CONFIGMAP] = configmap(maxPods=7)
    assert [str(one) for one in rendered.kubelets()] == [
        f"{kubelets.TITLE} data.kubelet.maxPods: 7 (rendered: 110)"
    ]
