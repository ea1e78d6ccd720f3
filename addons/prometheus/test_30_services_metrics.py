"""Layer services: Prometheus sees all that the inventory names, by the rules that are written."""

from __future__ import annotations

import pytest

from addons.prometheus.client import SHOW, Prometheus
from addons.prometheus.found import QUICK_SHARE, Target, active, differences, down, slow
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.verbs import becomes

SETTLED_SECONDS = 240
"""Other checks of the layer take pods away meanwhile: the log store for two minutes, and a target that is
back is looked at again a minute later."""
TARGETS = "/api/v1/targets?state=active"


def _active(prometheus: Prometheus) -> list[Target]:
    return active(prometheus.data(TARGETS))


@pytest.mark.check("L3-27")
def test_targets_are_those_of_the_inventory_and_up(driver: Driver, prometheus: Prometheus) -> None:
    """Job by job and machine by machine: none missing, none strange, each with its labels, all of them up."""

    def wrong() -> list[str]:
        found = _active(prometheus)
        return [*differences(driver.inventory, found), *down(found)]

    becomes(
        "targets of Prometheus",
        wrong,
        lambda found: not found,
        within=SETTLED_SECONDS,
        expected="the inventory's, all up",
        command=SHOW,
    )


@pytest.mark.check("P3-50")
def test_targets_answer_quickly(prometheus: Prometheus, measure: Measure) -> None:
    """Nineteen of twenty targets of each job answer within a quarter of the pause between two looks."""
    becomes(
        "slow targets",
        lambda: slow(_active(prometheus)),
        lambda found: not found,
        within=SETTLED_SECONDS,
        expected=f"none of which the answer takes more than {QUICK_SHARE:.0%} of the pause",
    )
    slowest = max(_active(prometheus), key=lambda one: one.took / one.interval)
    limit = QUICK_SHARE * slowest.interval
    measure(f"slowest answer of a target ({slowest.job})", slowest.took, "s", limit)
