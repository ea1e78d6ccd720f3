"""A lab without machines: hosts that boot from the seed they are given and answer as real ones do.

Every step of a build runs against it unchanged; only provider, SSH and API are fakes.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lab.addons import addons
from lab.artifacts.provide import Provided
from lab.cluster.kubeadm import JOINED
from lab.console import Console
from lab.errors import FailedError
from lab.hosts.converge import ETCD_DATA, EVIDENCE, KUBELET_CONF
from lab.inventory.loading import parse
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.machines import Machine, Power, State
from lab.runs import Run
from lab.ssh import Result
from lab.steps.context import Build
from tests import born
from tests.fakes import Call, FakeApi, FakeProvider, FakeSsh

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


@cache
def certificate() -> str:
    """A CA certificate as kubeadm leaves it on a master, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass
class FakeHost:
    """One running machine: its files, units, sysctls, and how far kubeadm came."""

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    units: dict[str, dict[str, str]] = field(default_factory=dict)
    sysctls: dict[str, str] = field(default_factory=dict)
    exists: set[str] = field(default_factory=set)
    kubeadm: str = "inactive"
    booting: bool = False
    ran: list[list[str]] = field(default_factory=list)
    """Commands that convergence ran here."""
    pods: dict[str, list[str]] = field(default_factory=dict)
    """Command lines of its static pods."""
    address: str = ""
    """With which it joined the cluster."""
    names: frozenset[str] = frozenset()
    """Names in the certificate of its API server."""
    made: frozenset[str] = frozenset()
    """Names in a certificate that was made and is not in its place yet."""

    @property
    def joined(self) -> bool:
        return JOINED in self.exists

    def boot(self, seed: dict[str, str]) -> None:
        """The first boot, by the user-data alone."""
        data = yaml.safe_load(seed["user-data"])
        for file in data["write_files"]:
            self.write(file["path"], file["content"], file["permissions"], file["owner"])
        for command in data["runcmd"]:
            self.run(command)

    def write(self, path: str, text: str, mode: str, owner: str) -> None:
        self.files[path] = {
            "text": base64.b64encode(text.encode()).decode(),
            "mode": mode,
            "owner": owner,
        }

    def run(self, command: list[str]) -> None:
        """systemctl and sysctl as far as a build needs them."""
        verb = command[1] if command[0] == "systemctl" else ""
        for name in [part for part in command[2:] if not part.startswith("--")] if verb else []:
            unit = self.units.setdefault(
                name if "." in name else f"{name}.service", {"active": "inactive", "enabled": "disabled"}
            )
            if verb == "enable":
                unit["enabled"] = "enabled"
            elif verb in ("start", "restart"):
                unit["active"] = "active"
        if command[:3] == ["sysctl", "--quiet", "--load"]:
            text = base64.b64decode(self.files[command[3]]["text"]).decode()
            self.sysctls |= dict(line.split(" = ") for line in text.splitlines())
        elif command[:3] == ["sysctl", "--quiet", "-w"]:
            self.sysctls |= dict([command[3].split("=")])

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the program that a build sends to a host would say."""
        if request["verb"] == "change":
            for item in request["write"]:
                self.files[item["path"]] = {key: item[key] for key in ("text", "mode", "owner")}
            for command in request["commands"]:
                self.ran.append(command)
                self.run(command)
            return {"failed": None}
        unknown = {"active": "inactive", "enabled": ""}
        units = self.units | {"plumbline-kubeadm.service": {"active": self.kubeadm, "enabled": ""}}
        return {
            "files": {path: self.files.get(path) for path in request["files"]},
            "sysctls": {name: self.sysctls.get(name) for name in request["sysctls"]},
            "units": {name: units.get(name, unknown) for name in request["units"]},
            "booting": self.booting,
            "exists": {path: path in self.exists for path in request["exists"]},
        }


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
        self.provider = FakeProvider(on_boot=self._boot)
        self.ssh = FakeSsh()
        self.api = FakeApi()
        self.api.nodes = lambda: [name for name in self.inventory.nodes if self._alive(name)]
        self._teach()

    def build(self) -> Build:
        """A build of this lab, with a run folder of its own; close its run in the end."""
        lab = Lab(self.inventory, self.folder, self.provider, ssh=self.ssh, api=self.api)
        nowhere = Path("/nowhere")
        provided = Provided("modules", "amd64", {}, {}, nowhere, nowhere, nowhere)
        made = Build(lab, provided, Console(), Run(self.folder, self.inventory.lab, "build"))
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

    def _alive(self, name: str) -> bool:
        return self.provider.state(name) is State.RUNNING and name in self.hosts and (self.hosts[name].joined)

    def _boot(self, machine: Machine) -> None:
        self.hosts[machine.name] = FakeHost()
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
        ssh.on("", "get --raw /readyz", lambda call: Result(0 if self._alive(call.host) else 1, "ok", ""))
        ssh.on("", "etcdctl", self._etcdctl)
        born.teach(self)

    def _python(self, call: Call) -> str | Exception:
        if self.provider.state(call.host) is not State.RUNNING:
            return FailedError(f"{call.host}: not reachable by SSH: no route to host")
        request = json.loads(call.stdin)
        if "documents" in request:
            return json.dumps(born.answer(self, call.host, request["documents"]))
        return json.dumps(self.hosts[call.host].answer(request))

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
        self.api.objects[f"/api/v1/nodes/{name}"] = {"metadata": {"name": name}}

    def _install_coredns(self) -> None:
        kept = {"name": "coredns", "namespace": "kube-system", "resourceVersion": "1", "generation": 1}
        self.api.objects["/apis/apps/v1/namespaces/kube-system/deployments/coredns"] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": kept,
            "spec": {"replicas": 2, "template": {"spec": {}}},
        }

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
            {"endpoint": f"https://{address}:2379", "health": self._alive(name)}
            for name, address in self.etcd.items()
        ]
        return json.dumps(health)


def half_finished(host: FakeHost, *, unit: str = "failed") -> None:
    """An init or join has begun on this host and did not end well (or still runs)."""
    host.exists = {KUBELET_CONF, ETCD_DATA}
    host.kubeadm = unit
