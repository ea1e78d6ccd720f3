"""Layer ha: the power of a master is cut while clients work; nothing acknowledged is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from lab.faults.clients import KEY, Reader, Writer, numbers
from lab.faults.inject import Live, injected
from lab.faults.kinds import PowerOff
from lab.verify import health
from lab.verify.driver import Driver
from lab.verify.history import Operation, gap, problems, rate, to_json
from lab.verify.outcomes import CouldNotTell, Mismatch
from lab.verify.plugin import Measure
from lab.verify.verbs import Refused, becomes, holds, nothing
from lab.verify.workspace import Workspace, workspace

WARM_UP = 4.0
"""Seconds of traffic before the fault; the run counts only if enough writes were acknowledged in them."""
STEADY = 10.0
"""Seconds of traffic with the machine off, and again after the lab is healthy."""
RECOVERY = 180.0
"""A machine that is switched on again is a healthy master within this time."""


@pytest.fixture
def space(driver: Driver) -> Iterator[Workspace]:
    """A namespace with the ConfigMap that the clients work on."""
    with workspace(driver, "traffic") as made:
        made.create(
            "configmaps",
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "history"}, "data": {KEY: ""}},
        )
        yield made


@dataclass
class Traffic:
    """A reader and a writer at work; after `stop` everything they did, and the list as it is then."""

    reader: Reader
    writer: Writer
    history: list[Operation] = field(default_factory=list)

    def stop(self) -> None:
        """End both clients; may be called twice."""
        if not self.history:
            self.history = [*self.reader.stop(), *self.writer.stop()]

    def acknowledged(self) -> int:
        """Good operations so far, of both."""
        return sum(o.fate == "ok" for o in (*self.reader.history, *self.writer.history))


@contextmanager
def traffic(driver: Driver, space: Workspace) -> Iterator[Traffic]:
    """The clients work while the block runs."""
    host, port = (
        str(driver.inventory.hosts[driver.inventory.balancer].address),
        driver.inventory.kubernetes.api_port,
    )
    path = f"{space.core}/configmaps/history"
    made = Traffic(
        Reader("reader", host, port, driver.cluster.tls, path),
        Writer("writer", host, port, driver.cluster.tls, path),
    )
    made.reader.start()
    made.writer.start()
    try:
        yield made
    finally:
        made.stop()


def busy(traffic: Traffic, seconds: float) -> None:
    """Both clients have been at work for so many seconds more."""
    begun, before = time.monotonic(), traffic.acknowledged()
    becomes(
        "clients through the balancer",
        lambda: (time.monotonic() - begun, traffic.acknowledged() - before),
        lambda state: state[0] >= seconds and state[1] >= 2 * seconds,
        within=seconds + 15,
        expected=f"at work for {seconds:g} s",
    )


def healthy_again(driver: Driver) -> None:
    """Rows L2-01 to L2-04 hold, within the time a machine needs to start."""

    def look() -> str:
        try:
            health.gate(driver)
        except Mismatch as error:
            return str(error)
        except Refused as error:
            return str(error)
        return "healthy"

    becomes(
        "the lab",
        look,
        lambda said: said == "healthy",
        within=RECOVERY,
        expected="healthy",
        command="invoke status",
    )


def lose(
    driver: Driver,
    space: Workspace,
    measure: Measure,
    victim: str,
    meanwhile: Callable[[Live], None],
) -> None:
    """Cut a machine's power under traffic, look, heal it, and judge what the clients saw."""
    limits = driver.inventory.thresholds
    with traffic(driver, space) as clients:
        busy(clients, WARM_UP)
        with injected(
            driver.lab,
            PowerOff(victim),
            before=lambda: health.gate(driver),
            after=lambda: healthy_again(driver),
        ) as live:
            meanwhile(live)
            busy(clients, STEADY)
        busy(clients, STEADY)
    item = driver.cluster.get(f"{space.core}/configmaps/history")
    final = numbers(item or {})
    evidence = driver.folder / "evidence" / f"history-{victim}.jsonl"
    evidence.parent.mkdir(parents=True, exist_ok=True)
    evidence.write_text(to_json(clients.history, final, live.began))

    before = measure(
        "acknowledged writes a second before the fault",
        rate(clients.history, begin=live.began - WARM_UP, end=live.began),
        "1/s",
    )
    if before < limits.minimum_writes_per_second:
        raise CouldNotTell(
            f"void: {before:.1f} acknowledged writes a second before the fault; "
            f"{limits.minimum_writes_per_second:g} are needed to tell anything"
        )
    bad = problems(clients.history, final)
    measure("acknowledged writes lost", sum("lost" in text for text in bad), "writes", 0)
    nothing("contradictions in the clients' history", bad, rule="none", command=f"less {evidence}")
    opened_anew = [operation for operation in clients.history if operation.client == "reader"]
    # both must be measured before either is judged
    reads = measure(
        "API gap for new connections",
        gap(opened_anew, appends=False, since=live.began),
        "s",
        limits.api_gap_seconds,
    )
    writes = measure(
        "longest time without an acknowledged write",
        gap(clients.history, appends=True, since=live.began),
        "s",
        limits.api_gap_seconds,
    )
    measure(
        "power-on to healthy", time.monotonic() - (live.healed or time.monotonic()) - STEADY, "s", RECOVERY
    )
    limit = f"at most {limits.api_gap_seconds:g} s"
    holds(
        "API gap for new connections", reads <= limits.api_gap_seconds, expected=limit, seen=f"{reads:.2f} s"
    )
    holds(
        "gap between acknowledged writes",
        writes <= limits.api_gap_seconds,
        expected=limit,
        seen=f"{writes:.2f} s",
    )


@pytest.mark.check("L4-00")
def test_the_lab_is_healthy_before_anything_is_broken(driver: Driver) -> None:
    """Rows L2-01 to L2-04 hold: nodes, API servers, etcd's members and data."""
    health.gate(driver)


@pytest.mark.check("L4-00")
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-02")
def test_losing_a_follower_changes_no_leader(driver: Driver, space: Workspace, measure: Measure) -> None:
    """A master that does not lead etcd loses its power: short gap, same leader, no write lost."""
    names = health.etcd_names(driver)
    leader = health.etcd_leader(driver, names)
    victim = next(name for name in reversed(driver.inventory.masters) if name != leader)
    survivor = next(name for name in driver.inventory.masters if name not in (leader, victim))

    def meanwhile(_: Live) -> None:
        becomes(
            f"etcd's leader as {survivor} sees it",
            lambda: health.etcd_leader(driver, names, through=survivor),
            lambda name: name == leader,
            within=5,
            expected=f"still {leader}",
            command=health.ETCD,
        )

    lose(driver, space, measure, victim, meanwhile)


@pytest.mark.check("L4-00")
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-03")
def test_losing_the_etcd_leader_loses_nothing(driver: Driver, space: Workspace, measure: Measure) -> None:
    """The etcd leader's machine loses its power: new leader, writes resume, none is lost."""
    names = health.etcd_names(driver)
    leader = health.etcd_leader(driver, names)
    survivor = next(name for name in driver.inventory.masters if name != leader)
    limit = driver.inventory.thresholds.leader_seconds

    def meanwhile(live: Live) -> None:
        new = becomes(
            f"etcd's leader as {survivor} sees it",
            lambda: health.etcd_leader(driver, names, through=survivor),
            lambda name: bool(name) and name != leader,
            within=limit + 10,
            expected=f"another than {leader}",
            command=health.ETCD,
        )
        took = measure("time to a new etcd leader", time.monotonic() - live.began, "s", limit)
        holds(f"time until {new} led", took <= limit, expected=f"at most {limit:g} s", seen=f"{took:.2f} s")

    lose(driver, space, measure, leader, meanwhile)
