"""Layer ha: parts of Kubernetes are killed or stopped, and come back by themselves."""

from __future__ import annotations

import time

import pytest

from lab.checks import health
from lab.checks.verbs import agrees, becomes, holds
from lab.faults.fault_run import FaultRun
from lab.faults.processes import COMPONENTS

SHORT = "kubelet"
"""The component of a short run; there etcd stands still, which is worse for it than to be killed."""


@pytest.mark.check("L4-01")
@pytest.mark.check("L4-15")
@pytest.mark.parametrize(
    "component",
    [
        item.name if item.name == SHORT else pytest.param(item.name, marks=pytest.mark.full)
        for item in COMPONENTS
    ],
)
def test_a_killed_part_comes_back(fault_run: FaultRun, component: str) -> None:
    """kill -9 of one part on one host: it works again in time, running containers are not touched."""
    driver = fault_run.driver
    limit = driver.inventory.thresholds.component_seconds
    with fault_run.under(f"kill-{component}", steady=1) as (live, _):
        host = live.fault.host
        before = _containers(fault_run, host) if component in ("kubelet", "containerd") else None
        health.recovered(driver, within=limit)
        process = next(item.process for item in COMPONENTS if item.name == component)
        becomes(
            f"process {process}",
            lambda: driver.ask(host, f"pgrep -x {process}").code,
            lambda code: code == 0,
            within=limit,
            expected="running again (exit code 0)",
            host=host,
        )
        took = fault_run.measure(f"{component}: kill to healthy", time.monotonic() - live.began, "s", limit)
        after = _containers(fault_run, host) if before is not None else None
    agrees(f"running containers of {host}", after, before, command="crictl ps", host=host)
    holds(f"{component}: kill to healthy", took <= limit, expected=f"<= {limit:g} s", seen=f"{took:.1f} s")


def _containers(fault_run: FaultRun, host: str) -> list[str]:
    """Running containers by their process, which containerd's own restart must not end; not this look."""
    return sorted(fault_run.driver.read(host, "pgrep -f '[c]ontainerd-shim-runc-v2'").split())


@pytest.mark.check("L4-01")
@pytest.mark.check("L4-14")
@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.full)])
def test_etcd_that_stood_still_gives_no_old_answer(fault_run: FaultRun, seconds: int) -> None:
    """SIGSTOP of the leader's etcd, then SIGCONT: no stale read, no write lost."""
    driver = fault_run.driver
    leader = health.etcd_leader(driver, health.etcd_names(driver))
    with fault_run.under("stop-etcd", leader, seconds=seconds, steady=seconds) as (live, clients):
        pass
    fault_run.gaps_within(clients, live, driver.inventory.thresholds.api_gap_seconds)
