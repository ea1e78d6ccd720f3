"""Layer services: Prometheus sees all that the inventory names, and judges it by the rules that are written.

In one file, so in one process: one of these tests kills Prometheus, the last one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest

from addons.prometheus import answering, judged, loaded
from addons.prometheus.asking import SHOW, ApiQuestion, PrometheusApi, lines
from addons.prometheus.found import QUICK_SHARE, ScrapeTarget, active, differences, down, slow
from addons.prometheus.killing import READY_SECONDS, kill, ready_anew
from addons.prometheus.section_config import configuration, rules, series_budget
from addons.prometheus.section_model import Observability
from lab.checks.driver import Driver
from lab.checks.items import Measure
from lab.checks.verbs import becomes, holds, nothing
from lab.damage import Journal
from lab.own_yaml import loads

SETTLED_SECONDS = 150
"""Other checks of the layer take pods away meanwhile: the log store for a minute, and a target that is back
is looked at again up to a minute later."""
QUICK_SECONDS = 70
"""Until each target was looked at again: one that was slow once may have met other checks."""
LOADED_SECONDS = 90
"""Until what was written is read: by the kubelet, by Prometheus, and judged once."""
TARGETS = "/api/v1/targets?state=active"


def _active(prometheus: PrometheusApi) -> list[ScrapeTarget]:
    return active(prometheus.data(TARGETS))


@pytest.mark.check("L3-27")
def test_targets_are_those_of_the_inventory_and_up(driver: Driver, prometheus: PrometheusApi) -> None:
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
def test_targets_answer_quickly(prometheus: PrometheusApi, measure: Measure) -> None:
    """Nineteen of twenty targets of each job answer within a quarter of the pause between two looks."""
    becomes(
        "slow targets",
        lambda: slow(_active(prometheus)),
        lambda found: not found,
        within=QUICK_SECONDS,
        expected=f"none whose answer takes more than {QUICK_SHARE:.0%} of the pause",
    )
    slowest = max(_active(prometheus), key=lambda one: one.took / one.interval)
    limit = QUICK_SHARE * slowest.interval
    measure(f"slowest answer of a target ({slowest.job})", slowest.took, "s", limit)


@pytest.mark.check("L3-32")
def test_rules_are_those_that_are_rendered_and_judged(driver: Driver, prometheus: PrometheusApi) -> None:
    """Each rule by its name, labels, time and expression, and none that ended with an error."""
    rendered = loaded.rendered_rules(rules(driver.inventory))

    def wrong() -> list[str]:
        data = prometheus.data("/api/v1/rules")
        found = loaded.loaded_rules(data)
        forms = prometheus.formatted(rule.expr for rule in (*rendered, *found))
        return [*loaded.rule_differences(rendered, found, forms), *loaded.sick(data)]

    becomes(
        "rules of Prometheus",
        wrong,
        lambda found: not found,
        within=LOADED_SECONDS,
        expected="as rendered, all of them without an error",
        command="invoke render; kubectl -n monitoring get configmap prometheus-rules -o yaml",
    )


@pytest.mark.check("P3-51")
def test_it_runs_the_configuration_that_is_rendered(driver: Driver, prometheus: PrometheusApi) -> None:
    """By its own word: the newest configuration was taken, and says what is rendered."""
    rendered = configuration(driver.inventory)

    def wrong() -> list[str]:
        told = loads(prometheus.data("/api/v1/status/config")["yaml"])
        taken = prometheus.data("/api/v1/status/runtimeinfo")["reloadConfigSuccess"]
        refused = [] if taken else ["the newest configuration or a rule file was refused: see its log"]
        return [*refused, *loaded.otherwise(rendered, told)]

    becomes(
        "configuration of Prometheus",
        wrong,
        lambda found: not found,
        within=LOADED_SECONDS,
        expected="as rendered",
        command="kubectl -n monitoring logs prometheus-0 | grep -i config",
    )


@pytest.mark.check("P3-52")
def test_no_alert_fires_on_a_quiet_lab(driver: Driver, prometheus: PrometheusApi) -> None:
    """In the last ten minutes, or since the last damage on purpose, no alert fired that people would see."""
    undone = Journal(driver.lab).undone_at
    seconds = judged.quiet_seconds(time.time(), undone)
    found = prometheus.vector(judged.fired(seconds))
    nothing(
        f"alerts that fired in the last {seconds:.0f} s",
        [*lines(found)],
        rule="none",
        command="invoke open prometheus, then /alerts",
    )


@pytest.mark.check("P3-53")
def test_every_panel_and_every_rule_is_answered(
    driver: Driver, prometheus: PrometheusApi, measure: Measure
) -> None:
    """Each query of each dashboard, and each series that a rule reads: an answer, soon, and with series."""
    window = answering.window_of(driver.inventory)
    open_ones = answering.wanted(driver.inventory)
    slowest: list[float] = []

    def wrong() -> Mapping[str, str]:
        nonlocal open_ones
        now = time.time()
        replies = prometheus.ask([one.question(now, window) for one in open_ones])
        slowest.extend(reply.seconds for reply in replies)
        said = [
            (one, answering.unanswered(one, reply, now, window))
            for one, reply in zip(open_ones, replies, strict=True)
        ]
        open_ones = [one for one, problem in said if problem]
        return {f"{one.who}: {one.expr}": problem for one, problem in said if problem}

    becomes(
        "questions of dashboards and rules",
        wrong,
        lambda found: not found,
        within=SETTLED_SECONDS,
        expected=f"all answered within {answering.MOST_SECONDS:g} s, with series",
    )
    measure("slowest answer to a panel", max(slowest), "s", answering.MOST_SECONDS)
    late = answering.slow_rules(prometheus.data("/api/v1/rules"))
    nothing("rules that take long", late, rule=f"at most {answering.MOST_SECONDS:g} s")


@pytest.mark.check("P3-54")
def test_every_sample_is_taken_and_series_are_few_enough(
    driver: Driver, prometheus: PrometheusApi, measure: Measure
) -> None:
    """No sample was thrown away in the last minutes, and memory is enough for all series."""
    (own,) = prometheus.ask([ApiQuestion("/metrics")])
    earlier = {one.labels["__name__"]: one.value for one in prometheus.vector(judged.before())}
    nothing("samples that were not taken", judged.refused(own.body, earlier), rule="none")
    limit = series_budget(driver.inventory)
    # one that was killed leaves its series for five minutes, under another address
    (head,) = prometheus.vector('max(prometheus_tsdb_head_series{job="prometheus"})')
    rate = prometheus.vector('max(rate(prometheus_tsdb_head_samples_appended_total{job="prometheus"}[5m]))')
    measure("series in memory", head.value, "series", limit)
    measure("samples taken", sum(one.value for one in rate), "1/s")
    holds("series in memory", head.value <= limit, expected=f"at most {limit}", seen=f"{head.value:.0f}")


@pytest.mark.check("P3-55")
def test_it_loses_its_downtime_alone_when_killed(
    driver: Driver, prometheus: PrometheusApi, measure: Measure
) -> None:
    """kill -9: ready in a minute, and no series of machines has a gap longer than that and two looks."""
    pause = driver.inventory.section(Observability).prometheus.scrape_seconds
    killed = kill(driver, prometheus)
    took = ready_anew(driver, killed) - killed.at
    measure("Prometheus: kill to ready", took, "s", READY_SECONDS)
    limit = took + 2 * pause
    found = becomes(
        "seconds without a sample of machines",
        lambda: judged.gaps(prometheus.data("/api/v1/query", query=f"{killed.series}[10m]"), killed.at),
        lambda gaps: bool(gaps) and max(gaps.values()) < float("inf"),
        within=2 * pause + 30,
        expected="samples from before it was killed, and new ones",
    )
    long = {name: f"{seconds:.1f} s" for name, seconds in found.items() if seconds > limit}
    nothing("gaps of series", long, rule=f"none longer than {limit:.1f} s")
    measure("longest gap of a series", max(found.values()), "s", limit)
