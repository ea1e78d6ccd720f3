"""Layer services: alerts reach both Alertmanagers, which know each other and tell people."""

from __future__ import annotations

import time

import pytest

from addons.alertmanager.client import HEARD_SECONDS, Alertmanagers, alone, configured_otherwise, unheard
from addons.alertmanager.section_config import configuration
from addons.prometheus.asking import SHOW, PrometheusApi, lines
from addons.prometheus.section_model import Observability
from lab.checks.driver import Driver
from lab.checks.outcomes import NotPartOfLab
from lab.checks.verbs import becomes

STATUS = "/api/v2/status"
MET_SECONDS = 60
"""Until members see each other again: each looks for those that it has lost every ten seconds."""
SENT = 'sum by (integration) (increase(alertmanager_notifications_total{job="alertmanager"}[10m]))'
FAILURES = 'increase(alertmanager_notifications_failed_total{job="alertmanager"}[5m])'
FAILED = f"sum by (integration, reason) ({FAILURES}) > 0"
TOLD_SECONDS = 300
"""Until a failure of before is forgotten, and what says that all is well was sent twice."""


@pytest.mark.check("L3-28")
def test_the_watchdog_is_heard_by_both(alertmanagers: Alertmanagers) -> None:
    """The alert that always fires is active in each, neither silenced nor held back, and heard of lately."""
    becomes(
        "Watchdog",
        lambda: unheard("Watchdog", alertmanagers.alerts(alertname="Watchdog"), time.time()),
        lambda found: not found,
        within=HEARD_SECONDS,
        expected="active in each Alertmanager",
        command="invoke open alertmanager",
    )


@pytest.mark.check("P3-56")
def test_they_know_each_other(alertmanagers: Alertmanagers) -> None:
    """Each sees all of them, so that what one has told the other does not tell again."""
    becomes(
        "members of Alertmanager",
        lambda: alone(alertmanagers.told(STATUS)),
        lambda found: not found,
        within=MET_SECONDS,
        expected="each sees all",
        command=SHOW,
    )


@pytest.mark.check("P3-57")
def test_they_run_the_configuration_that_is_rendered(driver: Driver, alertmanagers: Alertmanagers) -> None:
    """By their own word: routes, receivers and what holds what back are those of the inventory."""
    rendered = configuration(driver.inventory)
    becomes(
        "configuration of Alertmanager",
        lambda: configured_otherwise(alertmanagers.told(STATUS), rendered),
        lambda found: not found,
        within=MET_SECONDS,
        expected="as rendered",
        command="invoke render; kubectl -n monitoring get configmap alertmanager -o yaml",
    )


@pytest.mark.check("P3-58")
def test_whom_the_inventory_names_is_told(driver: Driver, prometheus: PrometheusApi) -> None:
    """No message failed; and with a dead man's switch, which is told all the time, some went out."""
    section = driver.inventory.section(Observability).alertmanager
    if not section.receivers and not section.dead_mans_switch:
        raise NotPartOfLab("observability.alertmanager", "nobody is told of alerts")

    def wrong() -> list[str]:
        failed = [*lines(prometheus.vector(FAILED))]
        sent = sum(one.value for one in prometheus.vector(SENT))
        unsent = ["none was sent in ten minutes"] if section.dead_mans_switch and not sent else []
        return [*failed, *unsent]

    becomes(
        "messages to people",
        wrong,
        lambda found: not found,
        within=TOLD_SECONDS,
        expected="none failed",
        command="kubectl -n monitoring logs -l app.kubernetes.io/name=alertmanager",
    )
