"""What is loaded beside what is rendered: times, sizes and orders that mean the same, and what does not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import yaml

from addons.alertmanager.section_config import configuration as of_alertmanager
from addons.prometheus import judged
from addons.prometheus.loaded import loaded_rules, otherwise, rendered_rules, rule_differences, sick
from addons.prometheus.section_config import configuration, memory, rules, series_budget
from tests.world import INVENTORY, inventory

LAB = inventory(INVENTORY + "observability: {alertmanager: {dead_mans_switch: 'https://a.example/b'}}\n")
RENDERED = rendered_rules(rules(LAB))
FORMS = {rule.expr: rule.expr for rule in RENDERED}


def as_told(config: dict[str, Any]) -> dict[str, Any]:
    """As a program tells it: defaults filled in, another word for the same time."""
    told = copy.deepcopy(config)
    told["tracing"] = {"sampling_fraction": 0}
    told["global"]["scrape_protocols"] = ["PrometheusProto"]
    told["storage"]["tsdb"]["retention"] = {"time": "2w1d", "size": "10GiB"}
    for job in told["scrape_configs"]:
        job.setdefault("scheme", "http")
        if job.get("scrape_interval") == "60s":
            job["scrape_interval"] = "1m"
    return told


def test_what_means_the_same_is_no_difference() -> None:
    config = configuration(LAB)
    assert any(job.get("scrape_interval") == "60s" for job in config["scrape_configs"])
    assert [*otherwise(config, as_told(config))] == []


def _alertmanager_told(config: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = yaml.safe_load(yaml.safe_dump(config).replace("150s", "2m30s"))
    for receiver in told["receivers"]:
        for one in receiver.get("webhook_configs", ()):
            one["url"] = "<secret>"
    for rule in told["inhibit_rules"]:
        rule["equal"].reverse()
    return told


def test_secrets_and_orders_of_alertmanager_are_no_difference() -> None:
    config = of_alertmanager(LAB)
    assert [*otherwise(config, _alertmanager_told(config))] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda told: told["scrape_configs"][0].update(scrape_interval="2m"),
            "scrape_configs[apiserver].scrape_interval: 2m is loaded, 60s is rendered",
        ),
        (
            lambda told: told["global"].update(external_labels={"cluster": "another"}),
            "global.external_labels.cluster: another is loaded, test is rendered",
        ),
        (
            lambda told: told["storage"]["tsdb"]["retention"].update(size="11GiB"),
            "storage.tsdb.retention.size: 11GiB is loaded, 10GB is rendered",
        ),
        (
            lambda told: told["scrape_configs"][1]["static_configs"][2].update(targets=["10.1.1.9:2381"]),
            'scrape_configs[etcd].static_configs[2].targets: ["10.1.1.9:2381"] is loaded, '
            '["10.1.1.13:2381"] is rendered',
        ),
        (lambda told: told.pop("alerting"), "alerting: nothing is loaded, "),
    ],
)
def test_each_other_value_is_told_with_its_place(change: Callable[[dict[str, Any]], Any], told: str) -> None:
    config = configuration(LAB)
    loaded = as_told(config)
    change(loaded)
    (said,) = otherwise(config, loaded)
    assert said.startswith(told)


def test_a_list_of_another_length_is_told() -> None:
    config = configuration(LAB)
    told = as_told(config)
    told["scrape_configs"].pop()
    (said,) = otherwise(config, told)
    assert said.startswith("scrape_configs: [")


def answer() -> dict[str, Any]:
    """An answer of /api/v1/rules with what is rendered."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for rule in RENDERED:
        item = {
            "name": rule.name,
            "labels": dict(rule.labels),
            "query": rule.expr,
            "duration": rule.lasting,
            "health": "ok",
            "evaluationTime": 0.001,
        }
        groups.setdefault(rule.group, []).append(item)
    return {"groups": [{"name": name, "rules": items} for name, items in groups.items()]}


def test_every_rendered_rule_has_a_title_of_its_own() -> None:
    titles = [rule.title for rule in RENDERED]
    assert len({*titles}) == len(titles) > 80
    assert "pipeline: Watchdog (severity=none)" in titles
    assert next(rule.lasting for rule in RENDERED if rule.name == "HostDown") == 120


def test_what_is_loaded_as_rendered_is_right() -> None:
    assert rule_differences(RENDERED, loaded_rules(answer()), FORMS) == []
    assert sick(answer()) == []


def test_rules_that_differ_are_named() -> None:
    loaded = [rule for rule in loaded_rules(answer()) if rule.name != "KubeletDown"]
    loaded = [replace(rule, lasting=60) if rule.name == "HostDown" else rule for rule in loaded]
    loaded = [replace(rule, expr="up == 2") if rule.name == "Watchdog" else rule for rule in loaded]
    loaded.append(replace(loaded[-1], name="Stranger", labels=()))
    found = rule_differences(RENDERED, loaded, FORMS | {"up == 2": "up == 2"})
    assert found == sorted(
        [
            "nodes: KubeletDown (severity=critical): is not loaded",
            "hosts: HostDown (severity=critical): fires after 60 s, not 120 s",
            "pipeline: Watchdog (severity=none): asks up == 2, not count(up == 1) > 0",
            f"{loaded[-1].group}: Stranger: is loaded, and not rendered",
        ]
    )


def test_expressions_are_compared_in_their_one_form() -> None:
    loaded = [replace(rule, expr=f"({rule.expr})") for rule in RENDERED]
    forms = FORMS | {f"({rule.expr})": rule.expr for rule in RENDERED}
    assert rule_differences(RENDERED, loaded, forms) == []


def test_rules_that_could_not_be_judged_are_named() -> None:
    data = answer()
    rule = next(item for group in data["groups"] for item in group["rules"] if item["name"] == "Watchdog")
    rule.update(health="err", lastError="many-to-many matching not allowed")
    assert sick(data) == ["pipeline: Watchdog: err: many-to-many matching not allowed"]
    rule.update(health="unknown", lastError="")
    assert sick(data) == ["pipeline: Watchdog: unknown: "]


@pytest.mark.parametrize(
    ("undone", "seconds"), [(None, 600), (0, 600), (9000, 600), (9500, 320), (9810, 30), (9999, 30)]
)
def test_the_quiet_time_begins_after_the_last_damage(undone: float | None, seconds: float) -> None:
    assert judged.quiet_seconds(10_000, undone) == seconds


def test_alerts_for_machines_and_the_suites_copy_are_no_false_alarm() -> None:
    assert judged.fired(600) == (
        'count_over_time(ALERTS{alertstate="firing",severity!="none",short_for=""}[600s])'
    )


def test_each_counter_of_refused_samples_has_its_name() -> None:
    late, twice = judged.REFUSED[4], judged.REFUSED[3]
    page = f"# HELP {late} Late.\n{late} 7\n{twice} 2\n"
    assert judged.refused(page, {late: 5, twice: 2}) == {late: 2}
    assert judged.refused(page, {late: 9, twice: 2}) == {late: 7}, "it was begun anew"
    assert judged.refused("", {late: 9}) == {}
    assert all(name in judged.before() for name in judged.REFUSED)


def test_the_gap_around_a_kill_is_found() -> None:
    times = [0.0, 30.0, 60.0, 130.0, 160.0]
    assert judged.gap(times, 70) == 70
    assert judged.gap(times, 10) == 30
    assert judged.gap([130.0], 70) == float("inf"), "what was before is lost"
    assert judged.gap([60.0], 70) == float("inf"), "nothing came since"
    data = {"result": [{"metric": {"host": "a"}, "values": [[1.0, "1"], [31.0, "1"]]}]}
    assert judged.gaps(data, 20) == {"host=a": 30.0}


def test_the_budget_of_series_follows_the_memory() -> None:
    assert memory(LAB)["limit"] == "960Mi"
    assert series_budget(LAB) == (480 - 100) * 1024 // 4
