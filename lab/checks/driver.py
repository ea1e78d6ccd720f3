"""Everything a check uses to look at the lab, in one object."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import TypeAdapter

from lab.answers import fit
from lab.checks import survey
from lab.checks.facts import AnswerStore, Facts, FactStore, request_for
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import LanInterface, lan_interface
from lab.cluster.etcd import etcdctl
from lab.errors import DeadlineError, FailedError
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.machines import Traits
from lab.providers.opening import traits_of
from lab.render.bundle import Bundle, Pins, bundle
from lab.ssh import Result

if TYPE_CHECKING:
    from lab.checks.cluster import Cluster
    from lab.checks.host import AskedHost

T = TypeVar("T")

CANNOT_RUN = (126, 127)
"""A shell's codes for a program that may not be run and for one that does not exist."""


@dataclass(frozen=True)
class Driver:
    """Looks at one lab; `folder` is the run's folder, `pins` the artefact catalogue's image references.

    With `offline` no provider and no machine is asked for anything: there may be none.
    """

    lab: Lab
    folder: Path
    pins: Pins
    offline: bool = False
    stand_in: Cluster | None = None
    """What is asked instead of the lab's own cluster."""

    @property
    def inventory(self) -> Inventory:
        """What the lab must be."""
        return self.lab.inventory

    @cached_property
    def bundles(self) -> dict[str, Bundle]:
        """What each host must be."""
        return {name: bundle(self.inventory, traits, self.pins, name) for name, traits in self.traits.items()}

    @cached_property
    def traits(self) -> dict[str, Traits]:
        """What each machine cannot do as a full one would."""
        if self.offline:
            return traits_of(self.inventory)
        return {name: self.lab.provider.traits_of(name) for name in self.inventory.hosts}

    @cached_property
    def facts(self) -> FactStore:
        """What each host is."""
        requests = {name: request_for(self.inventory, item) for name, item in self.bundles.items()}
        return FactStore(self.folder / "facts", self.lab.ssh, requests)

    @cached_property
    def surveys(self) -> AnswerStore[survey.Survey]:
        """What lies and runs on each host beside what was declared."""
        requests = {name: survey.request_for(self.inventory, item) for name, item in self.bundles.items()}
        return AnswerStore(self.folder / "surveys", self.lab.ssh, requests, survey.Survey, survey.PROGRAM)

    def all_facts(self, hosts: Iterable[str]) -> list[Facts]:
        """Facts of several hosts, for checks that compare them; one unreachable host is `CouldNotTell`."""
        return [self.facts.get(host) for host in hosts]

    def ask(self, host: str, command: str, *, seconds: float = 30, stdin: str = "") -> Result:
        """Run a command as root on a host, with a text as its input; its exit code is for the check to judge.

        Raises `CouldNotTell` for an unreachable host, a time-out and a program that cannot be run.
        """
        try:
            result = self.lab.ssh.try_run(host, command, seconds=seconds, stdin=stdin)
        except (FailedError, DeadlineError) as error:
            raise CouldNotTell(error.message, next_step=f"invoke ssh {host}") from error
        if result.code in CANNOT_RUN:
            raise CouldNotTell(
                f"{host}: `{command}`: {result.stderr.strip()}", next_step=f"invoke ssh {host}"
            )
        return result

    def read(self, host: str, command: str, *, seconds: float = 30, stdin: str = "") -> str:
        """Standard output of a command that must succeed for the check to be able to look."""
        result = self.ask(host, command, seconds=seconds, stdin=stdin)
        if result.code:
            said = (result.stderr or result.stdout).strip()
            raise CouldNotTell(
                f"{host}: `{command[:120]}` ended with exit code {result.code}: {said[-300:]}",
                next_step=f"invoke ssh {host}",
            )
        return result.stdout

    def page(self, host: str, url: str) -> str:
        """What a host reads at an HTTP address of the lab, past any proxy that its environment names."""
        opener = "urllib.request.build_opener(urllib.request.ProxyHandler({}))"
        program = f"import urllib.request; print({opener}.open({url!r}, timeout=10).read().decode())"
        return self.read(host, f"python3 -c {shlex.quote(program)}")

    def host(self, name: str) -> AskedHost:
        """A host in testinfra's words, as root: `driver.host("worker-1").file("/etc/hosts").mode`.

        Each word is a round trip of at most 30 seconds. Raises what `ask` raises.
        """
        if name not in self._hosts:
            from lab.checks.host import AskedHost  # testinfra is needed by few checks

            self._hosts[name] = AskedHost(name, partial(self.ask, name))
        return self._hosts[name]

    @cached_property
    def _hosts(self) -> dict[str, AskedHost]:
        """Those that were asked for: what a module of testinfra found out about a host is kept with it."""
        return {}

    @cached_property
    def cluster(self) -> Cluster:
        """The API, through the balancer. Raises `CouldNotTell` when no master has a kubeconfig for us."""
        # the client library takes a second to load, which the node layer need not wait for
        from lab.checks.cluster import Cluster

        try:
            return self.stand_in or Cluster(self.lab.fetch_kubeconfig())
        except FailedError as error:
            raise CouldNotTell(error.message, next_step=error.next_step) from error

    @cached_property
    def lan_interface(self) -> LanInterface:
        """The harness's own place on the LAN."""
        return lan_interface(self.inventory.network.lan)

    def etcdctl(self, arguments: str, shape: TypeAdapter[T], *, through: str = "", seconds: float = 15) -> T:
        """The answer of etcdctl on a master (default: the first that answers), as its record."""
        problems = []
        for master in [through] if through else self.inventory.masters:
            try:
                said = self.read(master, etcdctl(f"{arguments} -w json"), seconds=seconds)
                return fit(master, "etcd", shape, json.loads(said))
            except (CouldNotTell, FailedError, ValueError) as error:
                problems.append(str(error).splitlines()[0])
        raise CouldNotTell(f"etcdctl {arguments}: {'; '.join(problems)}", next_step="invoke status")
