"""A lab without machines: hosts that boot from the seed they are given and answer as real ones do.

Every step of a build runs against it unchanged; only provider, SSH and API are fakes.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import yaml
from pytest import MonkeyPatch

from lab.addons import addons
from lab.artifacts.provide import Provided
from lab.cluster.kubeadm import JOINED
from lab.cluster.nodes import CONTROL_PLANE, OF_MASTERS
from lab.console import Console
from lab.errors import FailedError
from lab.hosts.converge import EVIDENCE, KUBELET_CONF
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.machines import Machine, Power, State
from lab.runs import Run
from lab.ssh import Result
from lab.steps.context import Context
from tests import born
from tests.fake_api import FakeApi
from tests.fake_host import LATE, FakeHost, certificate, request
from tests.fakes import Call, FakeProvider, FakeSsh

MANIFESTS = {
    addon.manifest: addon.folder / "fixtures" / "manifest.yaml" for addon in addons() if addon.manifest
}
"""Upstream's manifests as they were recorded."""
TOKEN = "abcdef.0123456789abcdef"
CERTIFICATE_KEY = "0123456789abcdef" * 4
INVENTORY = """
lab: test
provider: lxc
network: {lan: 10.1.1.0/24, gateway: 10.1.1.1}
metallb: {pools: [{name: default, addresses: [10.1.1.100-10.1.1.150]}]}
ingress: {address: 10.1.1.100}
hosts:
  haproxy: {role: load-balancer, address: 10.1.1.50, cpus: 2, memory_gib: 2, disk_gib: 20}
  master-1: {role: control-plane, address: 10.1.1.11}
  master-2: {role: control-plane, address: 10.1.1.12}
  master-3: {role: control-plane, address: 10.1.1.13}
  worker-1: {role: worker, address: 10.1.1.31, labels: {rack: "no", slot: "0600"}}
  worker-2: {role: worker, address: 10.1.1.32}
"""


def inventory(text: str = INVENTORY) -> Inventory:
    """A small lab: one balancer, three masters, two workers."""
    return parse(text, "test.yaml")


class World:
    """Provider, hosts, etcd and API of one lab, consistent with each other."""

    def __init__(self, folder: Path, wanted: Inventory | None = None) -> None:
        self.inventory = wanted or inventory()
        self.folder = folder
        self.hosts: dict[str, FakeHost] = {}
        self.etcd: dict[str, str] = {}
        """Address of each member, by name."""
        self.kubeadm_runs: list[tuple[str, str, dict[str, Any]]] = []
        """Verb, host and last document of each run of kubeadm."""
        self.drained: set[str] = set()
        """API servers that HAProxy gives no new connection."""
        self.events: list[tuple[str, str]] = []
        """Host and what was done about its control plane: phases of kubeadm, drain, ready."""
        self.failing: set[str] = set()
        """Hosts on which kubeadm fails."""
        self.late: Counter[str] = Counter()
        """How many joins of a host fail yet because the API is late; the node has registered by then."""
        self._registering = threading.Lock()
        self.provider = FakeProvider(on_boot=self._boot)
        self.ssh = FakeSsh()
        self.api = FakeApi()
        self.api.nodes = lambda: [name for name in list(self.hosts) if self.alive(name)]
        self._teach()

    def build(self) -> Context:
        """A build of this lab, with a run folder of its own; close its run in the end."""
        lab = Lab(self.inventory, self.folder, self.provider, ssh=self.ssh, api=self.api)
        nowhere = Path("/nowhere")
        provided = Provided("modules", "amd64", {}, {}, nowhere, nowhere, nowhere)
        made = Context(lab, provided, Console(), Run(self.folder, self.inventory.lab, "build"))
        made.__dict__["manifests"] = MANIFESTS
        return made

    def lose(self, name: str) -> None:
        """A machine is deleted behind our back; etcd and the API still list it."""
        self.provider.states.pop(name)
        del self.hosts[name]

    def switch_off(self, name: str) -> None:
        """The plug is pulled."""
        self.provider.power(name, Power.OFF)

    def verbs(self) -> list[tuple[str, str]]:
        """Verb and host of each run of kubeadm so far."""
        return [(verb, host) for verb, host, _ in self.kubeadm_runs]

    def joined(self) -> set[str]:
        """Hosts that are a part of the cluster."""
        return {name for name, host in self.hosts.items() if host.joined}

    def alive(self, name: str) -> bool:
        """Whether a machine runs and is a part of the cluster."""
        return self.provider.state(name) is State.RUNNING and name in self.hosts and (self.hosts[name].joined)

    def _boot(self, machine: Machine) -> None:
        self.hosts[machine.name] = FakeHost(restarted=partial(self._restarted, machine.name))
        self.hosts[machine.name].boot(dict(machine.cloud_init))

    def _teach(self) -> None:
        ssh = self.ssh
        ssh.on("", "python3 -c", self._python)
        ssh.on("", "cat /run/cloud-init/result.json", json.dumps({"v1": {"errors": []}}))
        ssh.on("", "systemd-run", self._kubeadm)
        ssh.on("", "systemctl show -P ActiveState", self.progress)
        ssh.on("", "journalctl -u plumbline-kubeadm -n 40", "[preflight] it went wrong\n")
        ssh.on("", "kubeadm reset", self._reset)
        ssh.on("", "kubeadm token create", f"{TOKEN}\n")
        ssh.on("", "upload-certs", f"[upload-certs] Using certificate key:\n{CERTIFICATE_KEY}\n")
        ssh.on("", "delete secret bootstrap-token-", "")
        ssh.on("", "cat /etc/kubernetes/pki/ca.crt", lambda _: certificate())
        ssh.on("", "openssl req -new", lambda _: request())
        ssh.on("", "get --raw /readyz", lambda call: Result(0 if self.alive(call.host) else 1, "ok", ""))
        ssh.on("", "etcdctl", self._etcdctl)
        born.teach(self)

    def _python(self, call: Call) -> str | Exception:
        if self.provider.state(call.host) is not State.RUNNING:
            return FailedError(f"{call.host}: not reachable by SSH: no route to host")
        request = json.loads(call.stdin)
        if "documents" in request:
            return json.dumps(born.answer(self, call.host, request["documents"]))
        said = self.hosts[call.host].answer(request)
        if own := request.get("control_plane"):
            said["control_plane"] = born.answer(self, call.host, own["documents"])
        return json.dumps(said)

    def _kubeadm(self, call: Call) -> str:
        verb = "init" if "kubeadm init" in call.command else "join"
        if verb == "init":
            born.found(self, call.stdin)
        self.kubeadm_runs.append((verb, call.host, next(iter(yaml.safe_load_all(call.stdin)))))
        host = self.hosts[call.host]
        if call.host in self.failing:
            host.kubeadm = "failed"
            host.exists |= {KUBELET_CONF}
            return ""
        if self.late[call.host]:
            self.late[call.host] -= 1
            host.kubeadm = "failed"
            host.exists |= {KUBELET_CONF}
            self.api.objects[f"/api/v1/nodes/{call.host}"] = {"metadata": {"name": call.host}}
            self.ssh.on(call.host, "journalctl -u plumbline-kubeadm -n 40", f"{LATE}\n")
            return ""
        self.becomes_member(call.host, founding=verb == "init")
        return ""

    def becomes_member(self, name: str, *, founding: bool = False) -> None:
        """kubeadm has ended well on a host."""
        host = self.hosts[name]
        host.exists |= set(EVIDENCE) if name in self.inventory.masters else {JOINED, KUBELET_CONF}
        host.kubeadm = "inactive"
        host.units["kubelet.service"]["active"] = "active"
        if name in self.inventory.masters:
            self.etcd[name] = str(self.inventory.hosts[name].address)
        if founding:
            self._install_coredns()
        born.start(self, name)
        self.register(name, taint=True)

    def register(self, name: str, *, taint: bool = False) -> None:
        """A node's Node object as the kubelet makes it; role and `taint` of a master are kubeadm's."""
        with self._registering:
            self._register(name, taint=taint)

    def _register(self, name: str, *, taint: bool) -> None:
        master = name in self.inventory.masters and taint
        labels = dict(self.inventory.hosts[name].labels)
        brought = [
            {"manager": "kubelet", "fieldsV1": {"f:metadata": {"f:labels": {f"f:{k}": {} for k in labels}}}}
        ]
        labels |= dict.fromkeys(OF_MASTERS, "") if master else {}
        taken = {item.get("spec", {}).get("podCIDR") for item in list(self.api.objects.values())}
        part = next(text for n in range(256) if (text := f"10.244.{n}.0/24") not in taken)
        self.api.objects[f"/api/v1/nodes/{name}"] = {
            "metadata": {"name": name, "labels": labels, "managedFields": brought},
            "spec": {"podCIDR": part}
            | ({"taints": [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]} if master else {}),
        }
        self.connect()

    def connect(self) -> None:
        """Flannel has made each node's end of the pods' network, and routes to the others."""
        parts = {
            name: item["spec"]["podCIDR"]
            for name in self.inventory.nodes
            if "spec" in (item := self.api.objects.get(f"/api/v1/nodes/{name}", {}))
        }
        for name, part in parts.items():
            network = ip_network(part)
            host = self.hosts[name]
            host.links = {"cni0": [f"{network[1]}/24"], **host.links, "flannel.1": [f"{network[0]}/32"]}
            host.routes = {other: "flannel.1" for owner, other in parts.items() if owner != name}

    def _install_coredns(self) -> None:
        kept = {"name": "coredns", "namespace": "kube-system", "resourceVersion": "1", "generation": 1}
        self.api.objects["/apis/apps/v1/namespaces/kube-system/deployments/coredns"] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": kept,
            "spec": {"replicas": 2, "template": {"spec": {}}},
        }
        self.api.objects["/api/v1/namespaces/kube-system/configmaps/coredns"] = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "coredns", "namespace": "kube-system", "resourceVersion": "1"},
            "data": {"Corefile": ".:53 {}\n"},
        }

    def _restarted(self, name: str, unit: str) -> None:
        """A kubelet that starts registers its node, if there is no such Node object."""
        if unit == "kubelet" and self.hosts[name].joined and f"/api/v1/nodes/{name}" not in self.api.objects:
            self.register(name)

    def progress(self, call: Call) -> str:
        host = self.hosts[call.host]
        return f"{host.kubeadm}\n{'done' if host.joined else 'missing'}\n[kubelet-start] Starting\n"

    def _reset(self, call: Call) -> str:
        host = self.hosts[call.host]
        host.exists -= set(EVIDENCE)
        host.kubeadm = "inactive"
        return ""

    def _etcdctl(self, call: Call) -> str:
        if "member list" in call.command:
            members = [
                {"ID": number, "name": name, "peerURLs": [f"https://{address}:2380"]}
                for number, (name, address) in enumerate(self.etcd.items(), 10)
            ]
            return json.dumps({"members": members})
        if "member remove" in call.command:
            number = int(call.command.split("member remove ")[1].split()[0], 16) - 10
            self.etcd.pop(list(self.etcd)[number])
            return ""
        assert "endpoint health" in call.command
        health = [
            {"endpoint": f"https://{address}:2379", "health": self.alive(name)}
            for name, address in self.etcd.items()
        ]
        return json.dumps(health)


def running_lab(folder: Path, monkeypatch: MonkeyPatch, ssh: FakeSsh) -> Lab:
    """A lab whose machines all run, its journal below `folder`; undoing damage waits for nobody."""
    monkeypatch.setenv("PLUMBLINE_DATA", str(folder / "data"))
    monkeypatch.setattr("lab.damage.BACK_SECONDS", 0)
    monkeypatch.setattr("lab.damage.forget", lambda *_: None)
    states = dict.fromkeys(inventory().hosts, State.RUNNING)
    return Lab(inventory(), folder, FakeProvider(states=states, prepared=True), ssh=ssh)
