"""Layer ha: the power of masters and of the balancer; nothing acknowledged is lost."""

from __future__ import annotations

import time

import pytest

from lab.checks import health
from lab.checks.after_boot import booted_well
from lab.checks.driver import Driver
from lab.checks.outside import http_get
from lab.checks.unlike_before import differences
from lab.checks.verbs import agrees, becomes, holds, nothing, present, succeeds
from lab.checks.whole_look import whole_look
from lab.faults.catalogue import fault
from lab.faults.fault_run import FaultRun
from lab.faults.recovery import gated
from lab.faults.traffic import API, lease_holder
from lab.inventory.addon_sections import pod_interfaces

SETTLED_SECONDS = 120
"""After the cluster is healthy a boot goes on: timers, add-ons that mark their nodes."""
REQUEST_SECONDS = 10.0
"""A refused write must say so within a client's patience (row L4-05)."""


@pytest.mark.full
@pytest.mark.check("L4-00")
def test_the_lab_is_healthy_before_anything_is_broken(driver: Driver) -> None:
    """Rows L2-01 to L2-04 hold: nodes, API servers, etcd's members and data."""
    health.gate(driver)


@pytest.mark.full
@pytest.mark.check("L4-00")
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-02")
def test_losing_a_follower_changes_no_leader(fault_run: FaultRun) -> None:
    """A master that does not lead etcd loses its power: short gap, same leader, no write lost."""
    driver = fault_run.driver
    names = health.etcd_names(driver)
    leader = health.etcd_leader(driver, names)
    victim = next(name for name in reversed(driver.inventory.masters) if name != leader)
    survivor = next(name for name in driver.inventory.masters if name not in (leader, victim))
    with fault_run.under("power-off", victim) as (live, clients):
        becomes(
            f"etcd's leader as {survivor} sees it",
            lambda: health.etcd_leader(driver, names, through=survivor),
            lambda name: name == leader,
            within=5,
            expected=f"still {leader}",
            command=health.ETCD,
        )
    fault_run.gaps_within(clients, live, driver.inventory.thresholds.api_gap_seconds)


@pytest.mark.check("L4-00")
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-03")
def test_losing_the_etcd_leader_loses_nothing(fault_run: FaultRun) -> None:
    """The etcd leader's machine loses its power: new leader, no write lost, and it boots as it was."""
    driver = fault_run.driver
    names = health.etcd_names(driver)
    leader = health.etcd_leader(driver, names)
    survivor = next(name for name in driver.inventory.masters if name != leader)
    limit = driver.inventory.thresholds.leader_seconds
    with fault_run.under("power-off", leader) as (live, clients):
        new = becomes(
            f"etcd's leader as {survivor} sees it",
            lambda: health.etcd_leader(driver, names, through=survivor),
            lambda name: bool(name) and name != leader,
            within=limit + 10,
            expected=f"another than {leader}",
            command=health.ETCD,
        )
        took = fault_run.measure("time to a new etcd leader", time.monotonic() - live.began, "s", limit)
    fault_run.gaps_within(clients, live, driver.inventory.thresholds.api_gap_seconds)
    holds(f"time until {new} led", took <= limit, expected=f"at most {limit:g} s", seen=f"{took:.2f} s")
    booted_well(driver, leader)


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-04")
def test_the_controllers_leases_move(fault_run: FaultRun) -> None:
    """The master that holds the controller manager's lease loses its power: another leads in time."""
    driver = fault_run.driver
    holder = lease_holder(driver, "kube-controller-manager")
    victim, limit = holder(), driver.inventory.thresholds.lease_seconds
    with fault_run.under("power-off", victim) as (live, _):
        becomes(
            "holder of the lease kube-controller-manager",
            holder,
            lambda name: bool(name) and name != victim,
            within=limit + 20,
            expected=f"another than {victim}",
            command="kubectl -n kube-system get leases",
        )
        took = fault_run.measure(
            "time to a new controller manager", time.monotonic() - live.began, "s", limit
        )
    holds("time to a new controller manager", took <= limit, expected=f"<= {limit:g} s", seen=f"{took:.1f} s")


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-05")
def test_without_a_majority_nothing_is_acknowledged_and_services_go_on(fault_run_web: FaultRun) -> None:
    """Two masters down: writes are refused in time, services answer; one master back is enough."""
    driver = fault_run_web.driver
    victim = driver.inventory.masters[0]
    with fault_run_web.under("two-masters-off", victim) as (live, clients):
        live.over.wait(REQUEST_SECONDS)
        quiet = live.began + 5
        late = [item for item in clients.operations if item.write and item.good and item.began > quiet]
        nothing("acknowledged writes without a majority", late[:3], rule="none")
        hanging = [
            probe
            for probe in clients.probes(API).probes
            if probe.t > quiet and probe.ms > 1000 * REQUEST_SECONDS
        ]
        nothing("requests that hang", hanging, rule=f"answered or refused within {REQUEST_SECONDS:g} s")
        succeeds("the service at its address", lambda: http_get(fault_run_web.address, 80), within=5)


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-20")
def test_losing_the_balancer_leaves_workloads_alone(fault_run_web: FaultRun) -> None:
    """HAProxy's machine loses its power: no API, services answer, no pod is moved, all is well after."""
    driver, space = fault_run_web.driver, fault_run_web.space
    before = {pod["metadata"]["name"] for pod in space.pods("web")}
    with fault_run_web.under("power-off", driver.inventory.balancer, steady=1) as (live, _):
        live.over.wait(15)
        succeeds("the service at its address", lambda: http_get(fault_run_web.address, 80), within=5)
    after = {pod["metadata"]["name"] for pod in space.pods("web")}
    agrees("pods of the service", sorted(after), sorted(before), command=f"kubectl -n {space.name} get pods")


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-21")
def test_a_flapping_master_is_kept_out(fault_run: FaultRun) -> None:
    """A master goes off and on six times: most requests succeed."""
    with fault_run.under("flap") as (live, clients):
        pass
    asked = [probe.ok for probe in clients.probes(API).probes if live.began <= probe.t <= (live.healed or 0)]
    share = fault_run.measure("share of good requests", sum(asked) / len(asked), "", 0.95)
    holds("share of good requests", share >= 0.95, expected="at least 95 %", seen=f"{share:.1%}")


@pytest.mark.full
@pytest.mark.check("L4-14")
@pytest.mark.check("L4-01")
def test_a_machine_that_stood_still_is_not_stale(fault_run: FaultRun) -> None:
    """The etcd leader's machine stands still for 10 s and goes on: no stale read, no write lost."""
    driver = fault_run.driver
    leader = health.etcd_leader(driver, health.etcd_names(driver))
    with fault_run.under("freeze", leader, seconds=10, steady=10) as (live, clients):
        pass
    fault_run.gaps_within(clients, live, driver.inventory.thresholds.api_gap_seconds)


@pytest.mark.full
@pytest.mark.check("L4-24")
@pytest.mark.check("P4-01")
def test_the_lab_survives_a_blackout(fault_run_web: FaultRun) -> None:
    """All machines off, all on: healthy in time, each fact and object as before, the service where it was."""
    driver, space = fault_run_web.driver, fault_run_web.space
    limit, before = 600.0, whole_look(fault_run_web.driver)
    with gated(driver, fault(driver.lab, "all-off"), within=limit) as live:
        live.over.wait(5)
    healed = present("end of the fault", live.healed, expected="a time", seen="none")
    fault_run_web.measure("power-on of everything to healthy", time.monotonic() - healed, "s", limit)
    succeeds("the service at its old address", lambda: http_get(fault_run_web.address, 80), within=60)
    space.await_pods("web", 2)
    for host in driver.inventory.hosts:
        booted_well(driver, host)
    becomes(
        "facts and objects that a cold start has changed",
        lambda: differences(before, whole_look(driver), pod_interfaces(driver.inventory)),
        lambda found: not found,
        within=SETTLED_SECONDS,
        expected="none",
        command="invoke verify --layer node; sysctl -a; kubectl get KIND -o yaml",
    )
