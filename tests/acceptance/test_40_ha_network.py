"""Layer ha: partitions, loss, links that go down, and the balancer's own restarts."""

from __future__ import annotations

import time

import pytest

from lab.checks import health
from lab.checks.balancer import servers
from lab.checks.driver import Driver
from lab.checks.verbs import becomes, holds, nothing, stays
from lab.faults.fault_run import FaultRun
from lab.faults.traffic import ADDRESS, API
from lab.objects import is_ready

RELOAD_GAP = 5.0
"""Row L4-19: longest gap of a restart; a reload has none."""
AWAY_SECONDS = 120.0
"""Row L4-22: a silent node is NotReady within two minutes."""
NOTICE_SECONDS = 20.0
"""Row L4-06: after its grace period a silent node is NotReady within so many seconds."""
LEADER_CHANGES = 3
"""Row L4-13."""


def in_service(driver: Driver) -> dict[str, bool]:
    """Which masters HAProxy sends clients to."""
    return {name: row["status"].startswith("UP") for name, row in servers(driver).items()}


@pytest.mark.check("L4-01")
@pytest.mark.check("L4-11")
@pytest.mark.parametrize(
    "way", ["", *(pytest.param(way, marks=pytest.mark.full) for way in ("-refused", "-inward", "-outward"))]
)
def test_a_master_without_its_peers_is_taken_out(fault_run: FaultRun, way: str) -> None:
    """A master is cut from its peers, not from HAProxy: no stale answer, and HAProxy leaves it out."""
    driver = fault_run.driver
    leader = health.etcd_leader(driver, health.etcd_names(driver))
    limit = driver.inventory.thresholds.api_gap_seconds
    with fault_run.under(f"cut-peers{way}", leader, seconds=60) as (live, clients):
        becomes(
            f"{leader} in HAProxy",
            lambda: in_service(driver)[leader],
            lambda up: not up,
            within=limit,
            expected="out of service",
            command=f"invoke ssh {driver.inventory.balancer}",
        )
        fault_run.measure("cut to out of service", time.monotonic() - live.began, "s", limit)
    fault_run.gaps_within(clients, live, limit)


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-12")
@pytest.mark.parametrize("cut", ["cut-balancer", "cut-clients"])
def test_a_silent_hole_makes_no_node_not_ready(fault_run: FaultRun, cut: str) -> None:
    """Nothing passes between HAProxy and one master, or all clients: no other node turns NotReady.

    The kubelet of the master that is cut off has no other way to the API than HAProxy (kubeadm gives it the
    endpoint's address), so that node alone may be NotReady when the hole is longer than the grace period.
    """
    driver = fault_run.driver
    grace = driver.inventory.grace_seconds
    # one master: until silent nodes would be NotReady; all clients: for as long as a node may be silent
    seconds, host = (grace + 10.0, driver.inventory.masters[-1]) if cut == "cut-balancer" else (grace / 2, "")
    others = [name for name in driver.inventory.nodes if name != host]

    def since() -> dict[str, tuple[str, str]]:
        found = health.ready_since(driver)
        return {name: found[name] for name in others}

    before = since()
    with fault_run.under(cut, host, seconds=seconds, steady=seconds) as (live, _):
        pass
    # a connection that the cut has killed may show as late as a grace period after it
    stays(
        "since when each node is Ready",
        since,
        lambda seen: seen == before,
        seconds=max(0.0, live.began + grace + 10 - time.monotonic()),
        expected=f"{before}",
    )


def _not_ready(driver: Driver) -> list[str]:
    return [item["metadata"]["name"] for item in driver.cluster.items("/api/v1/nodes") if not is_ready(item)]


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-13")
@pytest.mark.parametrize("name", ["lose-peers", pytest.param("delay", marks=pytest.mark.full)])
def test_a_bad_link_between_masters_loses_nothing(fault_run: FaultRun, name: str) -> None:
    """Half of the packets between the leader and its peers are lost, or all are late: no write lost."""
    driver = fault_run.driver
    leader = health.etcd_leader(driver, health.etcd_names(driver))
    before = _term(driver)
    with fault_run.under(name, leader, seconds=10, steady=5):
        pass
    changes = fault_run.measure("changes of etcd's leader", _term(driver) - before, "", LEADER_CHANGES)
    holds(
        "changes of etcd's leader", changes <= LEADER_CHANGES, expected=f"<= {LEADER_CHANGES}", seen=changes
    )


def _term(driver: Driver) -> int:
    return max(state.term for state in health.etcd_status(driver))


@pytest.mark.check("L4-01")
@pytest.mark.check("L4-19")
def test_a_reload_of_the_balancer_is_not_noticed(fault_run: FaultRun) -> None:
    """HAProxy reads its configuration anew: not one request fails."""
    with fault_run.under("haproxy-reload", steady=5) as (live, clients):
        pass
    asked = [probe for probe in clients.probes(API).probes if probe.t >= live.began - 1]
    failed = [f"{probe.t - live.began:.1f} s: {probe.ms:.0f} ms" for probe in asked if not probe.ok]
    fault_run.measure("failed requests", len(failed), "requests", 0)
    nothing("failed requests", failed, rule="none by a reload")


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-19")
def test_a_restart_of_the_balancer_is_short(fault_run: FaultRun) -> None:
    """HAProxy is restarted: a short gap."""
    with fault_run.under("haproxy-restart", steady=5) as (live, clients):
        pass
    fault_run.gaps_within(clients, live, RELOAD_GAP)


@pytest.mark.check("L4-22")
@pytest.mark.check("L4-06")
@pytest.mark.parametrize("name", [pytest.param("power-off", marks=pytest.mark.full), "nic-down"])
def test_a_silent_worker_is_noticed_and_comes_back(fault_run: FaultRun, name: str) -> None:
    """A worker is off, or its network card is down: NotReady in time, and Ready again after."""
    driver = fault_run.driver
    victim = driver.inventory.workers[-1]
    limit = min(driver.inventory.grace_seconds + NOTICE_SECONDS, AWAY_SECONDS)
    # a host without its card heals itself when the fault's time is over, and not before
    with fault_run.under(name, victim, seconds=limit + 2, steady=1) as (live, _):
        becomes(
            f"node {victim}",
            lambda: victim in _not_ready(driver),
            bool,
            within=limit,
            expected="NotReady",
            command=f"kubectl describe node {victim}",
        )
        took = fault_run.measure("time to NotReady", time.monotonic() - live.began, "s", limit)
    holds("time to NotReady", took <= limit, expected=f"<= {limit:g} s", seen=f"{took:.1f} s")


@pytest.mark.check("L4-23")
@pytest.mark.parametrize(
    "name",
    [
        "firewall-reload",
        *(pytest.param(name, marks=pytest.mark.full) for name in ("flush-proxy-rules", "kill-kube-proxy")),
    ],
)
def test_rules_that_were_lost_come_back(fault_run_web: FaultRun, name: str) -> None:
    """The firewall is loaded anew, or kube-proxy's rules are gone on a worker: answers again."""
    limit = fault_run_web.driver.inventory.thresholds.component_seconds
    with fault_run_web.under(name, fault_run_web.driver.inventory.workers[0], steady=2) as (live, clients):
        becomes(
            "the service at its address",
            lambda: [probe.ok for probe in clients.probes(ADDRESS).probes[-20:]],
            lambda asked: len(asked) == 20 and all(asked),
            within=limit,
            expected="20 answers in a row",
        )
        fault_run_web.measure("damage to steady answers", time.monotonic() - live.began, "s", limit)
