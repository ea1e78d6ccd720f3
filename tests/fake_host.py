"""A host without a machine: its files, units and sysctls, and how far kubeadm came on it."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from functools import cache
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lab.cluster.kubeadm import JOINED
from lab.hosts.converge import ETCD_DATA, KUBELET_CONF


@cache
def certificate() -> str:
    """A CA certificate as kubeadm leaves it on a master, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@cache
def request() -> str:
    """What a machine that has made itself a key asks to be signed (PKCS #10), PEM."""
    asked = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    made = asked.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


LATE = (
    'error uploading crisocket: error patching Node "x": Patch "https://10.1.1.50:6443/api/v1/nodes/x?timeout=10s'
    '": net/http: request canceled (Client.Timeout exceeded while awaiting headers)'
)
"""As kubeadm said in emulation."""


BEFORE, LATER, NOW = 1000.0, 2000.0, 3000.0
"""Moments: when all was started, when something was changed, when it was mended."""


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
    written: dict[str, float] = field(default_factory=dict)
    """When files were written that a unit reads."""
    started: dict[str, float] = field(default_factory=dict)
    """When units were started or read their files again."""
    static_pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[str, list[str]] = field(default_factory=dict)
    routes: dict[str, str] = field(default_factory=dict)
    resolvers: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    restarted: Callable[[str], None] = lambda _: None
    """What follows where a unit is restarted."""

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
        self.started.clear()

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
            elif verb in ("start", "restart", "try-restart", "try-reload-or-restart"):
                if verb in ("start", "restart"):
                    unit["active"] = "active"
                self.started[name if "." in name else f"{name}.service"] = NOW
                if verb == "restart":
                    self.restarted(name)
        if command[:2] == ["sh", "-c"]:
            self._shell(command[2])
        if command[:2] == ["sh", "-ec"]:
            self._removal(shlex.split(command[2].replace(";", " ; ")))
        if command[:2] == ["mv", "-f"]:
            self.written[command[3]] = NOW
        if command[:3] == ["sysctl", "--quiet", "--load"]:
            text = base64.b64decode(self.files[command[3]]["text"]).decode()
            self.sysctls |= dict(line.split(" = ") for line in text.splitlines())
        elif command[:3] == ["sysctl", "--quiet", "-w"]:
            self.sysctls |= dict([command[3].split("=")])

    def _shell(self, line: str) -> None:
        """Links that are removed, and processes of the control plane that the kubelet starts again."""
        words = line.split()
        if words[:3] == ["ip", "link", "delete"]:
            self.links.pop(words[3], None)
        for name, pod in self.static_pods.items():
            if words[0] == "pkill" and f"{name} " in line:
                pod["since"] = NOW

    def _removal(self, words: list[str]) -> None:
        """A unit that is stopped and disabled, a file or a folder that is removed."""
        if "disable" in words:
            self.units.pop(words[-1], None)
        if "rm" in words:
            path = next(word for word in words[words.index("rm") + 1 :] if word.startswith("/"))
            for known in [item for item in self.files if item == path or item.startswith(f"{path}/")]:
                del self.files[known]
            for known in [item for item in self.written if item.startswith(f"{path}/")]:
                del self.written[known]

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the program that a build sends to a host would say."""
        if "commands" in request:
            for item in request["write"]:
                self.files[item["path"]] = {key: item[key] for key in ("text", "mode", "owner")}
            for path in request["remove"]:
                self.files.pop(path, None)
            for command in request["commands"]:
                self.ran.append(command)
                self.run(command)
            return {"failed": None}
        unknown: dict[str, Any] = {"active": "inactive", "enabled": ""}
        units = self.units | {"plumbline-kubeadm.service": {"active": self.kubeadm, "enabled": ""}}
        return {
            "files": {path: self.files.get(path) for path in request["files"]},
            "sysctls": {name: self.sysctls.get(name) for name in request["sysctls"]},
            "units": {
                name: units.get(name, unknown)
                | ({"process": 7, "since": self.started.get(name, BEFORE)} if name in units else {})
                for name in request["units"]
            },
            "written": {path: self.written.get(path) for path in request["written"]},
            "static_pods": self.static_pods,
            "links": self.links,
            "routes": self.routes,
            "resolvers": self.resolvers,
            "payload": {"images": self.images} if request["payload"] else {},
            "booting": self.booting,
            "strangers": {
                path: held
                for path, held in self.files.items()
                if path not in request["files"] and any(fnmatch(path, item) for item in request["owned"])
            },
            "exists": {path: path in self.exists for path in request["exists"]},
        }


def half_finished(host: FakeHost, *, unit: str = "failed") -> None:
    """An init or join has begun on this host and did not end well (or still runs)."""
    host.exists = {KUBELET_CONF, ETCD_DATA}
    host.kubeadm = unit
