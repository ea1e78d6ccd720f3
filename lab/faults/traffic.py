"""Everything that is at work around a fault: clients with a history, a watch, probes, and who holds what."""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lab.checks import health
from lab.checks.alerts import AlertsSeen
from lab.checks.driver import Driver
from lab.checks.history import ClientOp, Contradiction, WatchEvent, judge
from lab.checks.ingress import has_ingress, ingress_client
from lab.checks.outcomes import CouldNotTell
from lab.checks.outside import http_get
from lab.checks.verbs import Refused, becomes
from lab.checks.workspace import Workspace
from lab.faults.clients import Client, Endpoint, Reader, Watcher, Writer, register_object, version_of
from lab.faults.inject import LiveFault
from lab.faults.kinds import Fault
from lab.faults.probes import SECONDS, Prober, Sampler, longest_gap
from lab.faults.recovery import gated
from lab.report.series import Series, SeriesMark

REGISTERS = ("register-a", "register-b")
API = "API through the balancer"
ADDRESS = "service at its own address"
INGRESS = "service behind the ingress"
WARM_UP = 4.0
"""Seconds of traffic before a fault; a run counts only if enough writes were acknowledged in them."""
CALM = 3.0
"""Seconds of traffic after the lab is healthy again."""
CAUGHT_UP = 15.0
"""Seconds a watch has, after everything, to tell the last state."""


@dataclass
class Traffic:
    """Clients at work; after `stop` what they did, and the judgement on it."""

    space: Workspace
    door: Endpoint
    clients: Sequence[Client]
    watch: Watcher
    probers: Sequence[Prober]
    samplers: Sequence[Sampler]
    started: str
    history: list[ClientOp] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)

    def begin(self) -> None:
        """Set all to work."""
        for item in (*self.clients, self.watch, *self.probers, *self.samplers):
            item.start()

    def stop(self) -> None:
        """End all, read every register once more, and judge. May be called twice."""
        if self.history:
            return
        workers: list[Client | Prober | Sampler] = [*self.clients, *self.probers, *self.samplers]
        for item in workers:
            item.stop()
        last = Client("last", self.door, REGISTERS)
        for register in REGISTERS:
            becomes(
                f"last read of {register}",
                lambda register=register: last.read(register) is not None,  # type: ignore[misc]
                bool,
                within=30,
                expected="answered",
                command="invoke status",
            )
        newest = max(item.version for item in last.history)
        becomes(
            "watch of the registers",
            lambda: self.watch.expired or (self.watch.events and self.watch.events[-1].version >= newest),
            bool,
            within=CAUGHT_UP,
            expected=f"at version {newest}",
        )
        self.watch.stop()
        last.stop()
        self.history = [item for client in (*self.clients, last) for item in client.history]
        if self.watch.expired:
            raise CouldNotTell(f"watch: the API would neither go on nor list: {self.watch.expired}")
        self.contradictions = judge(
            self.history, self.events, since=self.watch.since, listed=self.watch.listed
        )

    @property
    def events(self) -> list[WatchEvent]:
        """What the watch told."""
        return self.watch.events

    @property
    def operations(self) -> list[ClientOp]:
        """What the clients did so far."""
        return [item for client in self.clients for item in list(client.history)]

    def acknowledged(self) -> int:
        """Good operations so far."""
        return sum(item.good for item in self.operations)

    def busy(self, seconds: float) -> None:
        """Wait until the clients have been at work for so many seconds more."""
        begun, before = time.monotonic(), self.acknowledged()
        becomes(
            "clients through the balancer",
            lambda: (time.monotonic() - begun, self.acknowledged() - before),
            lambda state: state[0] >= seconds and state[1] >= 2 * seconds,
            within=seconds + 20,
            expected=f"at work for {seconds:g} s",
        )

    def probes(self, name: str) -> Prober:
        """The prober of a target."""
        return next(item for item in self.probers if item.target == name)

    @contextmanager
    def under_fault(self, driver: Driver, fault: Fault) -> Iterator[LiveFault]:
        """All are at work before the fault, while it lives as long as the block runs, and after it."""
        self.busy(WARM_UP)
        with gated(driver, fault) as live:
            yield live
        self.busy(CALM)

    def silences(self, *, since: float, until: float = math.inf) -> dict[str, float | None]:
        """The longest gap of each target that is probed, in seconds; None: it never answered again."""
        return {
            item.target: longest_gap([probe for probe in item.probes if probe.t <= until], since=since)
            for item in self.probers
        }

    def series(
        self,
        title: str,
        live: LiveFault,
        checks: Sequence[str] = (),
        test: str = "",
        alerts: AlertsSeen | None = None,
    ) -> Series:
        """The story for the report's pictures."""
        marks = [SeriesMark(t=live.began, kind="fault", text=live.fault.title)]
        if live.healed is not None:
            marks.append(SeriesMark(t=live.healed, kind="healed", text="healed"))
        return Series(
            title=title,
            checks=tuple(checks),
            test=test,
            started=self.started,
            marks=tuple(marks),
            targets=tuple(item.as_target() for item in self.probers if item.probes),
            holders=tuple(entry for item in self.samplers for entry in item.holders),
            alerts=alerts,
        )


def api_probe(driver: Driver) -> Callable[[], str]:
    """A question to the API through the balancer, over a new connection."""
    address = driver.inventory.addresses[driver.inventory.balancer]
    port, tls = driver.inventory.kubernetes.api_port, driver.cluster.tls

    def ask() -> str:
        answer = http_get(address, port, "/api/v1/namespaces/default", tls=tls, seconds=SECONDS)
        if answer.status != 200:
            raise Refused(f"API: status {answer.status}")
        return ""

    return ask


def echo_probe(
    address: str, port: int = 80, *, name: str = "", tls: ssl.SSLContext | None = None
) -> Callable[[], str]:
    """A question to an echo server behind a load-balanced address; the pod and node that answered.

    `name` and `tls` are for an address that serves many: the host name, and whom to trust.
    """

    def ask() -> str:
        answer = http_get(address, port, name=name, tls=tls, seconds=SECONDS)
        if answer.status != 200:
            raise Refused(f"{name or address}: status {answer.status}")
        said = answer.json()
        return f"{said['pod']} on {said['node']}"

    return ask


def lease_holder(driver: Driver, name: str) -> Callable[[], str]:
    """Who holds a lease of the control plane, by host."""
    return lambda: health.holder_of(health.lease(driver, name))


def probers(driver: Driver, name: str, address: str) -> list[Prober]:
    """The API is asked; the sample application, if it has an address, there and through the lab's ingress.

    `name` is the namespace's, by which the ingress knows it.
    """
    limits = driver.inventory.thresholds
    found = [Prober(API, api_probe(driver), limit=limits.api_gap_seconds)]
    if address:
        found.append(Prober(ADDRESS, echo_probe(address), limit=limits.address_gap_seconds))
    if address and has_ingress(driver.inventory):
        ingress = ingress_client(driver)
        ask = echo_probe(ingress.address, 443, name=ingress.name(name), tls=ingress.tls)
        found.append(Prober(INGRESS, ask))
    return found


@contextmanager
def traffic(driver: Driver, space: Workspace, address: str = "") -> Iterator[Traffic]:
    """Clients work while the block runs; `address` is the sample application's, if there is one."""
    made = [space.create("configmaps", register_object(name)) for name in REGISTERS]
    host = driver.inventory.addresses[driver.inventory.balancer]
    door = Endpoint(
        host, driver.inventory.kubernetes.api_port, driver.cluster.tls, f"{space.core}/configmaps"
    )
    leases = ("kube-controller-manager", "kube-scheduler")
    found = Traffic(
        space,
        door,
        # two writers contend for one register, one has its own
        [
            Reader("reader", door, REGISTERS),
            Writer("writer-1", door, REGISTERS[:1]),
            Writer("writer-2", door, REGISTERS[:1]),
            Writer("writer-3", door, REGISTERS[1:]),
        ],
        Watcher("watch", door, max(map(version_of, made))),
        probers(driver, space.name, address),
        [Sampler(f"lease {name}", lease_holder(driver, name)) for name in leases],
        datetime.now(UTC).isoformat(timespec="seconds"),
    )
    found.begin()
    try:
        yield found
    finally:
        found.stop()
