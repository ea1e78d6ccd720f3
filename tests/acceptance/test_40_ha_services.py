"""Layer ha: a service's address while its machine dies, is emptied, or may no longer announce it."""

from __future__ import annotations

import time

import pytest

from lab.checks.drain import drained
from lab.checks.verbs import becomes, holds, nothing, stays
from lab.faults.fault_run import FaultRun
from lab.faults.probes import failed_share, longest_gap
from lab.faults.traffic import ADDRESS, traffic

DRAIN_SUCCESS = 0.99
"""Row L4-10: share of good requests while workers are drained."""
QUIET_SECONDS = 15.0
"""An address that has moved stays where it is."""


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-07")
def test_an_address_moves_when_its_machine_dies(fault_run_web: FaultRun) -> None:
    """The machine that announces an address loses its power: another answers in time, and keeps it."""
    driver = fault_run_web.driver
    victim = becomes("announcer", fault_run_web.announcer, bool, within=15, expected="one node")
    limit = driver.inventory.thresholds.address_gap_seconds
    with fault_run_web.under("power-off", victim, steady=1) as (live, clients):
        new = becomes(
            "announcer",
            fault_run_web.announcer,
            lambda name: bool(name) and name != victim,
            within=limit + 30,
            expected=f"another than {victim}",
        )
        stays(
            "announcer",
            fault_run_web.announcer,
            lambda name: name == new,
            seconds=QUIET_SECONDS,
            expected=new,
        )
        probes = clients.probes(ADDRESS).probes
        silent = longest_gap(probes, since=live.began)
    silent = float("inf") if silent is None else silent
    fault_run_web.measure("silence of the address", silent, "s", limit)
    holds("silence of the address", silent <= limit, expected=f"<= {limit:g} s", seen=f"{silent:.2f} s")


@pytest.mark.full
@pytest.mark.check("L4-08")
def test_a_single_replica_on_the_dead_machine_is_reported(fault_run_web: FaultRun) -> None:
    """The only endpoint's machine loses its power: the outage is measured, not judged (metallb#733)."""
    driver, space = fault_run_web.driver, fault_run_web.space
    path = f"{space.apps}/deployments/web"
    driver.cluster.request("PATCH", path, {"spec": {"replicas": 1}})
    (pod,) = space.await_pods("web", 1)
    with fault_run_web.under("power-off", pod["spec"]["nodeName"], seconds=90, steady=60) as (live, clients):
        pass
    silent = longest_gap(clients.probes(ADDRESS).probes, since=live.began)
    fault_run_web.measure("silence with a single replica", 90.0 if silent is None else silent, "s")


@pytest.mark.check("L4-01")
@pytest.mark.check("L4-10")
def test_draining_each_worker_fails_no_request(fault_run_web: FaultRun) -> None:
    """Each worker is drained in turn: the disruption budget is kept, the service answers all the time."""
    driver, space = fault_run_web.driver, fault_run_web.space
    with traffic(driver, space, fault_run_web.address) as clients:
        clients.busy(3)
        begun = time.monotonic()
        for name in driver.inventory.workers:
            with drained(driver, name):
                space.await_pods("web", 2)
            space.await_pods("web", 2)
        clients.busy(3)
        ended = time.monotonic()
    probes = clients.probes(ADDRESS).probes
    share = 1 - failed_share(probes, begin=begun, end=ended)
    fault_run_web.measure("share of good requests", share, "", DRAIN_SUCCESS)
    failed = [probe for probe in probes if begun <= probe.t < ended and not probe.ok]
    fault_run_web.measure("failed requests", len(failed), "requests", 0)
    nothing("contradictions", [str(item) for item in clients.contradictions[:5]], rule="none")
    holds("good requests", share >= DRAIN_SUCCESS, expected=f">= {DRAIN_SUCCESS:.0%}", seen=f"{share:.2%}")
