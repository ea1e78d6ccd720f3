"""Layer services: the rules by which nodes lead connections to services."""

from __future__ import annotations

import pytest

from lab.checks.driver import Driver
from lab.checks.proxying import RULES, service_rules
from lab.checks.verbs import becomes

SETTLE_SECONDS = 40
"""kube-proxy writes all of its rules anew every 30 s at the latest."""


@pytest.mark.check("P3-20")
@pytest.mark.each("nodes")
def test_services_are_led_by_rules_of_the_declared_mode_alone(driver: Driver, host: str) -> None:
    """The node's rules for services are those of the inventory's mode of kube-proxy, and of no other one."""
    mode = driver.inventory.kubernetes.proxy_mode
    becomes(
        "modes whose rules lead to the API's service",
        lambda: service_rules(driver, host),
        lambda found: found == [mode],
        within=SETTLE_SECONDS,
        expected=f"{mode} alone",
        command=RULES[mode],
        host=host,
    )
