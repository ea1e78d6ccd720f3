"""Layer ha: etcd without room or with a slow disk, and greedy programs on a worker."""

from __future__ import annotations

import time

import pytest

from lab.checks import health
from lab.checks.outcomes import CouldNotTell
from lab.checks.verbs import Refused, agrees, becomes, holds, succeeds
from lab.cluster.etcd import etcdctl
from lab.cluster.etcd_answers import ALARMS
from lab.faults.clients import register_object
from lab.faults.fault_run import FaultRun
from lab.objects import Object

LEADER_CHANGES = 4
"""Row L4-18, from etcd's alert rules."""


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-17")
def test_a_full_quota_refuses_writes_and_is_cured(fault_run: FaultRun) -> None:
    """etcd's quota is reached: alarm, writes refused, reads answered; compacting and disarming cures it."""
    driver, space = fault_run.driver, fault_run.space
    with fault_run.under("etcd-quota", steady=1):
        becomes(
            "etcd's alarms",
            lambda: [item.alarm for item in driver.etcdctl("alarm list", ALARMS).alarms],
            lambda alarms: 1 in alarms,
            within=30,
            expected="NOSPACE",
            command="etcdctl alarm list",
        )
        becomes(
            "a write",
            lambda: _write(fault_run),
            lambda said: "space exceeded" in said,
            within=15,
            expected="refused: database space exceeded",
        )
        found = succeeds(
            "a read", lambda: driver.cluster.get(f"{space.core}/configmaps/register-a"), within=10
        )
        holds("a read", found is not None, expected="the register", seen=found)


def _write(fault_run: FaultRun) -> str:
    try:
        fault_run.driver.cluster.create(f"{fault_run.space.core}/configmaps", register_object("one-more"))
    except (Refused, CouldNotTell) as error:
        return str(error)
    return "accepted"


@pytest.mark.check("L4-01")
@pytest.mark.check("L4-17")
def test_a_full_disk_of_one_member_is_survived(fault_run: FaultRun) -> None:
    """One member of etcd has no byte left: the others go on, and it comes back whole."""
    driver = fault_run.driver
    leader = health.etcd_leader(driver, health.etcd_names(driver))
    victim = next(name for name in reversed(driver.inventory.masters) if name != leader)
    with fault_run.under("etcd-disk-full", victim, steady=10) as (live, clients):
        becomes(
            f"etcd of {victim}",
            lambda: driver.ask(victim, etcdctl("endpoint status")).code,
            bool,
            within=30,
            expected="no answer: it cannot write",
            host=victim,
        )
    fault_run.gaps_within(clients, live, driver.inventory.thresholds.api_gap_seconds)


@pytest.mark.full
@pytest.mark.check("L4-01")
@pytest.mark.check("L4-18")
def test_a_slow_disk_makes_no_storm(fault_run: FaultRun) -> None:
    """The leader's disk is slow: few changes of the leader, no write lost."""
    driver = fault_run.driver
    leader = health.etcd_leader(driver, health.etcd_names(driver))
    before = max(state.term for state in health.etcd_status(driver))
    with fault_run.under("etcd-disk-slow", leader, seconds=40, steady=30):
        pass
    after = max(state.term for state in health.etcd_status(driver))
    changes = fault_run.measure("changes of etcd's leader", after - before, "", LEADER_CHANGES)
    holds("changes of etcd's leader", changes < LEADER_CHANGES, expected=f"< {LEADER_CHANGES}", seen=changes)


@pytest.mark.check("L4-26")
@pytest.mark.parametrize(
    "kind",
    [
        "memory-pressure",
        pytest.param("pid-pressure", marks=pytest.mark.full),
        pytest.param("cpu-pressure", marks=pytest.mark.full),
    ],
)
def test_a_greedy_program_hurts_itself_alone(fault_run_web: FaultRun, kind: str) -> None:
    """A worker has a greedy program in a bounded cgroup: its node stays Ready, no pod is restarted."""
    driver, space = fault_run_web.driver, fault_run_web.space
    before = _restarts(space.pods("web"))
    began = time.monotonic()
    with fault_run_web.under(kind, steady=10):
        health.nodes(driver)
    agrees("pods and their restarts", _restarts(space.pods("web")), before)
    fault_run_web.measure("pressure, healing and health", time.monotonic() - began, "s", 300)


def _restarts(pods: list[Object]) -> dict[str, int]:
    return {
        pod["metadata"]["name"]: sum(item["restartCount"] for item in pod["status"]["containerStatuses"])
        for pod in pods
    }
