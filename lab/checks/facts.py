"""Facts of the hosts: fetched once for each host and run, in one SSH round trip, shared by all workers.

A fact that could not be read raises `CouldNotTell` when a check asks for it, never earlier, and never turns
into an empty answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

from filelock import FileLock

from lab.addons import selected
from lab.checks.outcomes import CouldNotTell
from lab.errors import CommandError, DeadlineError, FailedError
from lab.hosts import programs
from lab.hosts.facts import HostSections, Link, ask
from lab.inventory.models import HostRole, Inventory
from lab.render.bundle import Bundle
from lab.render.components import KUBELET_CONFIG
from lab.render.detected import POD_RESOLVER
from lab.ssh import Ssh

Told = TypeVar("Told")

SECONDS = 45.0
AT_ONCE = 6
"""Hosts asked at the same time: enough to hide the round trips, few enough for two cores."""

RESOLVER = "/etc/resolv.conf"

EVERYWHERE = ("system", "files", "sysctls", "modules", "units", "sockets", "links", "default_link")
SECTIONS: Mapping[HostRole, tuple[str, ...]] = {
    HostRole.LOAD_BALANCER: (*EVERYWHERE, "packages", "texts", "disks", "clock"),
    HostRole.CONTROL_PLANE: (
        *EVERYWHERE,
        *("versions", "packages", "texts", "runtime", "certificates", "manifests", "disks", "clock"),
    ),
    HostRole.WORKER: (
        *EVERYWHERE,
        *("versions", "packages", "texts", "runtime", "certificates", "disks", "clock"),
    ),
}
VERSIONS = {
    "containerd": ["--version"],
    "kubeadm": ["version", "-o", "short"],
    "kubectl": ["version", "--client", "-o", "json"],
    "kubelet": ["--version"],
}


class Facts(HostSections):
    """What one host said about itself. A section that could not be read raises `CouldNotTell`."""

    unread = CouldNotTell

    def listens(self, port: int, protocol: str) -> list[str]:
        """Addresses on which a port listens."""
        return [item.address for item in self.sockets if item.port == port and item.protocol == protocol]

    def link(self, name: str) -> Link | None:
        """A network interface, None when there is none of that name."""
        return next((link for link in self.links if link.name == name), None)

    def link_of(self, address: str) -> Link | None:
        """The interface that holds an address (without its prefix length)."""
        held = (item for item in self.links for own in item.addresses if own.partition("/")[0] == address)
        return next(held, None)


def request_for(inventory: Inventory, bundle: Bundle) -> dict[str, Any]:
    """What to ask a host, from what it must be."""
    return {
        "sections": list(SECTIONS[inventory.hosts[bundle.host].role]),
        "files": sorted({file.path for file in bundle.files} | {item.path for item in bundle.binaries}),
        "owned": list(bundle.owned),
        "sysctls": sorted(bundle.sysctls),
        "modules": list(bundle.modules),
        "units": [unit.name for unit in bundle.units],
        "versions": VERSIONS,
        "packages": list(bundle.packages),
        "texts": [
            KUBELET_CONFIG,
            RESOLVER,
            POD_RESOLVER,
            *(path for addon in selected(inventory) for path in addon.on_hosts.texts),
        ],
    }


class AnswerStore(Generic[Told]):
    """Answers of a run's hosts to one program in a folder: the first who asks fetches, the others read.

    `told` makes the record of a host's answer, `program` is the command that the request is sent to.
    """

    def __init__(
        self,
        folder: Path,
        ssh: Ssh,
        requests: Mapping[str, dict[str, Any]],
        told: Callable[[str, Mapping[str, Any]], Told],
        program: str,
    ) -> None:
        self._folder, self._ssh, self._requests = folder, ssh, requests
        self._told, self._program = told, program
        folder.mkdir(parents=True, exist_ok=True)

    def get(self, host: str) -> Told:
        """What a host said in this run. Raises `CouldNotTell` for one that could not be asked, at once when
        that is known."""
        path = self._folder / f"{host}.json"
        with FileLock(self._folder / f"{host}.lock"):
            if not path.exists():
                part = path.with_suffix(".part")
                part.write_text(json.dumps(self._ask(host)))
                part.replace(path)
            held = json.loads(path.read_text())
        return self._record(host, held)

    def fresh(self, host: str) -> Told:
        """What a host says at this moment, for a state that may still change."""
        return self._record(host, self._ask(host))

    def gather(self, hosts: Iterable[str]) -> None:
        """Ask many hosts at the same time; what fails is told to whoever asks for it."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._quietly, hosts))

    def _quietly(self, host: str) -> None:
        try:
            self.get(host)
        except CouldNotTell:
            return

    def _ask(self, host: str) -> dict[str, Any]:
        request, program = self._requests[host], self._program
        try:
            return ask(self._ssh, host, request, seconds=SECONDS, program=program)
        except CommandError as error:
            return {
                "unreachable": f"{host}: the facts program ended with {error.code}: {error.output[-300:]}"
            }
        except (FailedError, DeadlineError) as error:
            return {"unreachable": str(error).splitlines()[0]}

    def _record(self, host: str, held: dict[str, Any]) -> Told:
        if "unreachable" in held:
            raise CouldNotTell(held["unreachable"], next_step=f"invoke ssh {host}")
        return self._told(host, held)


class FactStore(AnswerStore[Facts]):
    """Facts of a run's hosts."""

    def __init__(self, folder: Path, ssh: Ssh, requests: Mapping[str, dict[str, Any]]) -> None:
        super().__init__(folder, ssh, requests, Facts, programs.command(programs.FACTS, programs.ANSWER))
