"""Layer ha: what happens to a machine is told with its name, soon, and so is its end."""

from __future__ import annotations

import time

import pytest

from addons.alertmanager.client import Alertmanagers, told_of
from addons.prometheus.asking import PrometheusApi
from addons.prometheus.section_model import Observability
from addons.prometheus.section_places import metrics_host
from addons.prometheus.section_rule_files import SHORT
from addons.prometheus.suite_rules import sooner
from lab.checks.verbs import becomes, holds
from lab.faults.fault_run import FaultRun

JUDGED_SECONDS = 60.0
"""After the next look at the kubelet: its time-out, ten seconds of `for`, two judgements, and the way."""
EVALUATION = 15.0
LABELS = {"alertname": "KubeletDown", SHORT: "true"}


@pytest.mark.check("L3-29")
def test_a_stopped_kubelet_is_told_with_its_machine(
    fault_run: FaultRun, alertmanagers: Alertmanagers, prometheus: PrometheusApi
) -> None:
    """A kubelet stands still: both Alertmanagers know it by its machine's name, and soon that it is over."""
    inventory = fault_run.driver.inventory
    limit = inventory.section(Observability).prometheus.scrape_seconds + JUDGED_SECONDS
    victim = next(
        name for name in (*inventory.workers, *inventory.masters) if name != metrics_host(inventory)
    )
    with sooner(fault_run.driver, prometheus):
        with fault_run.under("stop-kubelet", victim, seconds=2 * limit, steady=0) as (live, _):
            becomes(
                "machines whose kubelet is told to be down",
                lambda: told_of(alertmanagers.alerts(**LABELS)),
                lambda found: all(hosts == [victim] for hosts in found.values()),
                within=limit,
                expected=f"{victim} alone, by each Alertmanager",
            )
            received = time.monotonic() - live.began
        healed = time.time() - (time.monotonic() - (live.healed or live.began))
        becomes(
            "machines whose kubelet is told to be down",
            lambda: told_of(alertmanagers.alerts(**LABELS)),
            lambda found: not any(found.values()),
            within=limit,
            expected="none, when it goes on",
        )
        matchers = ",".join(f'{key}="{value}"' for key, value in LABELS.items())
        firing = f'ALERTS{{{matchers},alertstate="firing",host="{victim}"}}'
        (last,) = prometheus.vector(f"max(max_over_time(timestamp({firing})[15m:5s]))")
    resolved = max(0.0, last.value + EVALUATION - healed)
    fault_run.measure("kubelet stopped to alert received", received, "s", limit)
    fault_run.measure("kubelet started to alert resolved", resolved, "s", limit)
    holds("time until the alert", received <= limit, expected=f"<= {limit:g} s", seen=f"{received:.1f} s")
    holds("time until its end", resolved <= limit, expected=f"<= {limit:g} s", seen=f"{resolved:.1f} s")
