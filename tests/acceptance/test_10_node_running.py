"""Layer node: what runs on a machine has read what is written there."""

from __future__ import annotations

import pytest

from lab.checks import container_runtime
from lab.checks.balancer_running import runs_as_declared
from lab.checks.driver import Driver
from lab.checks.facts import Facts
from lab.checks.running import units_have_read_their_files


@pytest.mark.check("P1-05")
@pytest.mark.each("all")
def test_units_have_read_their_files(driver: Driver, host: str) -> None:
    """Each unit of the machine was started, or has read its files again, after their last change."""
    units_have_read_their_files(driver, host)


@pytest.mark.check("P1-20")
@pytest.mark.each("nodes")
def test_containerd_runs_with_the_declared_settings(driver: Driver, facts: Facts) -> None:
    """The containerd that runs, asked itself, has every value of its document and CNI's folders."""
    container_runtime.runs_as_declared(driver, facts)


@pytest.mark.check("P1-21")
@pytest.mark.each("balancer")
def test_haproxy_runs_with_the_declared_settings(driver: Driver, host: str) -> None:
    """The HAProxy that runs, asked itself, has the declared frontends, backends, servers and checks."""
    runs_as_declared(driver, host)
