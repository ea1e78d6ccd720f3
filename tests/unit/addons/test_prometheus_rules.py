"""Alerts are complete: both cases, a runbook, a summary that names its object; and what is refused."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from addons.prometheus.rule_cases import LAB, Case, Firing, cases, gaps
from addons.prometheus.section_expected import EXPECTED, expected
from addons.prometheus.section_jobs import targets
from addons.prometheus.section_rule_files import SHORT, SOONER, of_lab, written, written_short
from addons.prometheus.section_rules import FOLDER, Alert, Level, metrics, rule_files
from lab.errors import InputError
from lab.inventory import load
from tests.world import INVENTORY, inventory

FILES = rule_files()
ALERTS = {alert.alert: alert for file in FILES.values() for alert in file.alerts}
OF_THE_KERNEL = re.compile(
    r"\bnode_(?:cpu|memory|load|disk|vmstat|timex|filefd)\w*(\{[^}]*\})?",
)
"""What node_exporter reads of the kernel and not of the machine: without a matcher it is of any machine."""


def read(text: str) -> list[dict[str, Any]]:
    """The rules of a rendered file."""
    groups: list[dict[str, Any]] = yaml.safe_load(text)["groups"]
    return [rule for group in groups for rule in group["rules"]]


def labels_in(summary: str) -> set[str]:
    """The labels that a summary names, those of the whole Prometheus among them."""
    return set(re.findall(r"\$(?:labels|externalLabels)\.(\w+)", summary))


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_is_quiet() -> None:
    assert list(gaps(FILES, cases())) == []


def test_a_missing_case_is_seen_at_each_level_and_a_stray_one_too() -> None:
    alert = FILES["etcd"].alerts[0]
    two = alert.model_copy(
        update={"levels": (Level(severity="warning"), Level(severity="critical", labels={"window": "1h"}))}
    )
    file = FILES["etcd"].model_copy(update={"alerts": (two,)})
    fires = Case(series={"up": "1"}, at="1m", firing=(Firing(severity="warning", labels={}, says="it is"),))
    assert list(gaps({"etcd": file}, {"etcd": {alert.alert: (fires,), "Gone": (fires,)}, "none": {}})) == [
        "etcd: EtcdMemberDown (warning): no case in which it is quiet",
        "etcd: EtcdMemberDown (critical 1h): no case in which it fires",
        "etcd: Gone: cases of an alert that there is not",
        "none: cases of a file that there is not",
    ]


def test_no_two_alerts_share_a_name() -> None:
    names = Counter(alert.alert for file in FILES.values() for alert in file.alerts)
    assert [name for name, count in names.items() if count > 1] == []


@pytest.mark.parametrize("alert", ALERTS.values(), ids=list(ALERTS))
def test_a_summary_begins_with_its_object_and_every_firing_case_has_its_labels(alert: Alert) -> None:
    assert labels_in(alert.summary), "names no label"
    known = next(own[alert.alert] for own in cases().values() if alert.alert in own)
    firing = [one for case in known for one in case.firing]
    missing = {label for one in firing for label in labels_in(alert.summary) - one.labels.keys()}
    assert missing <= {"cluster"}, "a label that the alert does not have"
    assert len({(level.severity, *level.labels.values()) for level in alert.levels}) == len(alert.levels)


@pytest.mark.parametrize("alert", ALERTS.values(), ids=list(ALERTS))
def test_its_runbook_is_where_the_alert_says(alert: Alert) -> None:
    page, _, anchor = alert.place.partition("#")
    headings = re.findall(r"^### (\w+)$", Path(FOLDER.parents[2], page).read_text(), re.MULTILINE)
    assert anchor in {heading.lower() for heading in headings}


def test_rules_read_what_is_recorded_beside_them_or_expected_of_the_lab() -> None:
    for name, file in FILES.items():
        read_here = {one for alert, level in file.rules() for one in metrics(alert.expression(level))}
        read_here |= {one for item in file.records for one in metrics(item.expr)}
        recorded = {item.record for item in file.records}
        assert {one for one in read_here if ":" in one} <= recorded | EXPECTED, name
        assert file.seldom.keys() <= read_here, f"{name}: seldom: what no rule reads"


def test_rules_about_a_kernel_leave_out_machines_that_share_one() -> None:
    told = [
        (alert.alert, found[0])
        for file in FILES.values()
        for alert, level in file.rules()
        for found in OF_THE_KERNEL.finditer(alert.expression(level))
        if 'shared_kernel!="true"' not in (found[1] or "")
    ]
    assert told == []
    assert OF_THE_KERNEL.search('node_load1{job="node"}')


def test_names_of_series_are_told_from_functions_labels_and_words() -> None:
    expr = (
        'label_replace(100 * sum by (host, le) (rate(a_total{job="x",b=~"c(d)?"}[5m] offset 1h)), '
        '"host", "$1", "n", "(.+)")'
        " and on (host) group_left (role) b:c:rate5m unless count(up == 1) or vector(0) > time()"
    )
    assert metrics(expr) == {"a_total", "b:c:rate5m", "up"}


def test_a_lab_has_the_rules_of_what_it_scrapes_and_no_others() -> None:
    lab = inventory(INVENTORY + "observability: {}\n")
    found = of_lab(expected(lab, targets(lab), ()))
    assert FILES.keys() - found.keys() == {"logs"}
    assert of_lab(LAB).keys() == FILES.keys()


def test_what_is_expected_follows_the_inventory() -> None:
    lab = load("production")
    found = expected(lab, targets(lab), {"pi-1"})
    rules = found.group()["rules"]
    hosts = {rule["labels"]["host"]: rule["labels"] for rule in rules if "host" in rule["labels"]}
    assert hosts.keys() == lab.hosts.keys()
    assert hosts["pi-1"] == {"host": "pi-1", "role": "worker", "arch": "arm64", "shared_kernel": "true"}
    assert hosts["haproxy"]["role"] == "load-balancer"
    assert hosts["master-1"]["shared_kernel"] == "false"
    counts = {rule["labels"]["job"]: rule["expr"] for rule in rules if "job" in rule["labels"]}
    assert (counts["etcd"], counts["kubelet"], counts["node"], counts["coredns"]) == (
        "vector(3)",
        "vector(15)",
        "vector(16)",
        "vector(2)",
    )


def test_the_suites_copy_differs_in_time_and_label_alone() -> None:
    alerts = [rule for text in written(LAB).values() for rule in read(text) if "alert" in rule]
    real = [rule for rule in alerts if rule["labels"]["severity"] != "none"]
    short = read(written_short(LAB))
    assert {rule["alert"] for rule in alerts if rule not in real} == {"Watchdog", "InfoInhibitor"}
    assert len(short) == len(real)
    for one, other in zip(real, short, strict=True):
        assert other["labels"] == one["labels"] | {SHORT: "true"}
        assert {**one, "for": 0, "labels": 0} == {**other, "for": 0, "labels": 0}
    assert SOONER == 60
    kubelet = next(rule for rule in short if rule["alert"] == "KubeletDown")
    assert kubelet["for"] == "10000ms"


ALERT = {
    "alert": "TooMuch",
    "expr": "a > @most",
    "levels": [{"severity": "warning", "for": "5m", "values": {"most": 3}}],
    "summary": "{{ $labels.host }}: too much",
    "runbook": {"means": "It is too much.", "look": "At it.", "act": "Less."},
}


def laid(folder: Path, **changes: object) -> Path:
    """A folder with one file of one alert, some keys of it changed."""
    file = {"title": "Toy", "about": "All of it.", "jobs": ["node"], "alerts": [ALERT | changes]}
    (folder / "a.yaml").write_text(yaml.safe_dump(file))
    return folder


def test_a_good_file_is_taken(tmp_path: Path) -> None:
    alert, level = next(rule_files(laid(tmp_path))["a"].rules())
    assert (alert.expression(level), level.seconds) == ("a > 3", 300)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"levels": []}, "alerts.0.levels"),
        ({"levels": [{"severity": "page"}]}, "alerts.0.levels.0.severity"),
        ({"levels": [{"severity": "info", "for": "soon"}]}, "alerts.0.levels.0.for"),
        ({"runbook": {"means": "It is.", "look": "At it."}}, "alerts.0.runbook.act"),
        ({"runbook": {"means": "Two\nlines.", "look": "At it.", "act": "Less."}}, "alerts.0.runbook.means"),
        ({"summary": ""}, "alerts.0.summary"),
        ({"alert": "too_much"}, "alerts.0.alert"),
        ({"levels": [{"severity": "info"}]}, "alerts.0: Value error, @most"),
        ({"unknown": 1}, "alerts.0.unknown"),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_field(
    tmp_path: Path, changes: dict[str, object], told: str
) -> None:
    with pytest.raises(InputError, match=re.escape(told)):
        rule_files(laid(tmp_path, **changes))
