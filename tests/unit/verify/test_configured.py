"""Settings of running processes: equal ones in a program's own words are accepted, every other is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.checks import configz, container_runtime
from lab.checks.cluster import Cluster
from lab.checks.configured import given, over, unlike
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.outcomes import CouldNotTell, Mismatch
from lab.hosts.settled import KUBE_PROXY
from lab.labs import Lab
from lab.objects import Object
from lab.render.bundle import pins
from lab.render.components import KUBELET_CONFIG, kube_proxy_settings
from tests.fakes import CONTAINERS, FakeProvider, FakeSsh
from tests.world import inventory


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"sandbox_image": "pause:3.10"}, {"sandboxImage": "pause:3.10"}),
        ({"restrict_oom_score_adj": True}, {"restrictOOMScoreAdj": True}),
        ({"period": "60s"}, {"period": "1m0s"}),
        ({"period": "1500ms"}, {"Period": "1.5s"}),
        ({"image": "10Mi"}, {"image": "10Mi", "other": 7}),
        ({"a": {"b_c": [1, 2]}}, {"a": {"bC": [1, 2], "d": 3}}),
    ],
)
def test_what_a_process_tells_in_its_own_words_is_accepted(
    wanted: dict[str, Any], told: dict[str, Any]
) -> None:
    assert list(unlike(wanted, told)) == []


@pytest.mark.parametrize(
    ("wanted", "told", "line"),
    [
        ({"maxPods": 110}, {"maxPods": 40}, "maxPods: 40, not 110"),
        ({"maxPods": 110}, {}, "maxPods: nothing, not 110"),
        ({"a": {"b": "x"}}, {"A": {"B": "y"}}, "a.b: y, not x"),
        ({"a": {"b": "x"}}, {}, "a: nothing, not b: x"),
        ({"period": "60s"}, {"period": "10m0s"}, "period: 10m0s, not 60s"),
        ({"there": True}, {"there": 1}, "there: 1, not yes"),
        ({"dns": ["10.96.0.10"]}, {"dns": ["10.96.0.11"]}, "dns: 10.96.0.11, not 10.96.0.10"),
    ],
)
def test_what_a_process_has_otherwise_is_named(
    wanted: dict[str, Any], told: dict[str, Any], line: str
) -> None:
    assert list(unlike(wanted, told)) == [line]


def test_what_a_document_leaves_to_the_component_is_no_setting() -> None:
    document = {"kind": "X", "apiVersion": "v1", "a": "0s", "b": None, "c": {"d": 0}, "e": False, "f": 5}
    assert given(document) == {"e": False, "f": 5}
    assert over({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"c": 3}, "d": [2]}) == {
        "a": {"b": 1, "c": 3},
        "d": [2],
    }


def test_kube_proxys_document_becomes_its_internal_type() -> None:
    document = {
        "mode": "iptables",
        "clusterCIDR": "10.244.0.0/16",
        "conntrack": {"min": 0},
        "iptables": {"syncPeriod": "30s", "masqueradeAll": True, "masqueradeBit": 14},
        "ipvs": {"syncPeriod": "20s", "scheduler": "rr"},
    }
    assert configz.internal(document) == {
        "mode": "iptables",
        "syncPeriod": "30s",
        "iptables": {"masqueradeBit": 14},
        "ipvs": {"scheduler": "rr"},
        "detectLocal": {"clusterCIDRs": ["10.244.0.0/16"]},
        "linux": {"conntrack": {"min": 0}, "masqueradeAll": True},
    }


class Answers(Cluster):
    """An API that answers with what a test says."""

    def __init__(self, **answers: Object) -> None:
        self.answers = answers

    def request(self, method: str, path: str, body: Object | None = None) -> Object:
        assert (method, path, body) == ("GET", "/api/v1/nodes/worker-1/proxy/configz", None)
        return self.answers["configz"]

    def get(self, path: str) -> Object | None:
        assert path == KUBE_PROXY
        return self.answers.get("configmap")


def driver_of(folder: Path, ssh: FakeSsh, **answers: Object) -> Driver:
    lab = Lab(inventory(), folder, FakeProvider(), ssh=ssh)
    return Driver(lab, folder / "run", pins(lab.inventory), stand_in=Answers(**answers))


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configz, "STARTING_SECONDS", 0)


def kubelet(folder: Path, told: Object, **written: Any) -> None:
    """Judge a kubelet that tells this, on a node with a file that says in addition what is written."""
    driver = driver_of(folder, FakeSsh(), configz=told)
    text = yaml.safe_dump(driver.bundles["worker-1"].kubelet | written)
    configz.kubelet_runs_as_declared(driver, Facts("worker-1", {"texts": {KUBELET_CONFIG: text}}))


def running(folder: Path, **changes: Any) -> Object:
    held = driver_of(folder, FakeSsh()).bundles["worker-1"].kubelet
    return {"kubeletconfig": held | {"syncFrequency": "1m0s"} | changes}


@pytest.mark.usefixtures("at_once")
def test_a_kubelet_that_runs_with_its_file_is_accepted(tmp_path: Path) -> None:
    kubelet(tmp_path, running(tmp_path), syncFrequency="0s", fileCheckFrequency="0s")
    kubelet(tmp_path, running(tmp_path, staticPodPath="/etc/x"), staticPodPath="/etc/x")


@pytest.mark.usefixtures("at_once")
def test_a_kubelet_that_runs_with_another_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"seen: maxPods: 40, not 110"):
        kubelet(tmp_path, running(tmp_path, maxPods=40))
    with pytest.raises(Mismatch, match=r"staticPodPath: nothing, not /etc/x"):
        kubelet(tmp_path, running(tmp_path), staticPodPath="/etc/x")


@pytest.mark.usefixtures("at_once")
def test_a_kubelet_that_tells_nothing_is_could_not_tell(tmp_path: Path) -> None:
    with pytest.raises(CouldNotTell, match="/configz tells no kubeletconfig"):
        kubelet(tmp_path, {"text": "404"})


def kube_proxy(folder: Path, **changes: Any) -> None:
    """Judge the kube-proxy of a node whose ConfigMap is kubeadm's."""
    ours = kube_proxy_settings(inventory(), CONTAINERS)
    document = ours | {
        "kind": "X",
        "configSyncPeriod": "0s",
        "clientConnection": {"kubeconfig": "/x", "qps": 0},
    }
    item = {"data": {"config.conf": yaml.safe_dump(document)}}
    told: Object = {
        "Mode": "iptables",
        "BindAddress": "0.0.0.0",
        "ConfigSyncPeriod": "15m0s",
        "ClientConnection": {"Kubeconfig": "/x", "QPS": 5},
        "DetectLocal": {"BridgeInterface": "", "ClusterCIDRs": ["10.244.0.0/16"]},
        "Linux": {"Conntrack": {"MaxPerCore": 0, "Min": 0}, "MasqueradeAll": False},
    }
    ssh = FakeSsh()
    ssh.on("worker-1", "127.0.0.1:10249/configz", json.dumps({"kubeproxy.config.k8s.io": told | changes}))
    configz.kube_proxy_runs_as_declared(driver_of(folder, ssh, configmap=item), "worker-1")


@pytest.mark.usefixtures("at_once")
def test_a_kube_proxy_that_runs_with_its_configmap_is_accepted(tmp_path: Path) -> None:
    kube_proxy(tmp_path)


@pytest.mark.usefixtures("at_once")
def test_a_kube_proxy_that_runs_with_another_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(Mismatch, match=r"detectLocal.clusterCIDRs: 10.244.0.0/15, not 10.244.0.0/16"):
        kube_proxy(tmp_path, DetectLocal={"ClusterCIDRs": ["10.244.0.0/15"]})
    with pytest.raises(Mismatch, match=r"mode: ipvs, not iptables"):
        kube_proxy(tmp_path, Mode="ipvs")


def containerd(driver: Driver, **changes: Any) -> None:
    """Judge a containerd that tells over CRI what it reads from our document, but for the changes."""
    runtime = {
        "runtimeType": "io.containerd.runc.v2",
        "options": {"BinaryName": "", "SystemdCgroup": changes.pop("cgroup", True)},
    }
    config = {
        "containerd": {
            "snapshotter": "overlayfs",
            "defaultRuntimeName": "runc",
            "runtimes": {"runc": runtime},
        },
        "cni": {"binDir": "/opt/cni/bin", "confDir": "/etc/cni/net.d", "maxConfNum": 1},
        "registry": {"configPath": "/etc/containerd/certs.d", "mirrors": None},
        "sandboxImage": driver.pins.images["pause"],
        "restrictOOMScoreAdj": True,
    } | changes
    told = {"systemd_cgroup": True, "sandbox_image": "", "config": config}
    container_runtime.runs_as_declared(driver, Facts("worker-1", {"runtime": told}))


def test_a_containerd_that_runs_with_its_document_is_accepted(driver: Driver) -> None:
    containerd(driver)


def test_a_containerd_that_runs_with_another_text_is_named(driver: Driver) -> None:
    with pytest.raises(Mismatch, match=r"registry.config_path: nothing, not /etc/containerd/certs.d"):
        containerd(driver, registry={"mirrors": None})
    with pytest.raises(Mismatch, match=r"runtimes.runc.options.SystemdCgroup: no, not yes"):
        containerd(driver, cgroup=False)
    with pytest.raises(Mismatch, match=r"cni.conf_dir: /etc/cni/other, not /etc/cni/net.d"):
        containerd(driver, cni={"binDir": "/opt/cni/bin", "confDir": "/etc/cni/other"})
