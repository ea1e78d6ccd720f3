"""What Alertmanagers answer: who hears an alert, who sees whom, and what keeps an alert from being told."""

from __future__ import annotations

from typing import Any

import pytest

from addons.alertmanager.client import Alertmanagers, alone, configured_otherwise, held_back, told_of, unheard
from addons.alertmanager.section_config import configuration
from addons.kube_state_metrics.telling import architectures
from addons.prometheus import asking, suite_rules
from addons.prometheus.asking import Reply, Sample
from addons.prometheus.section_config import rules, text
from lab.checks.outcomes import CouldNotTell
from tests.world import INVENTORY, inventory

LAB = inventory(INVENTORY + "observability: {}\n")
NOW = 1_796_117_600.0
"""2026-12-01T09:33:20Z"""


def alert(
    state: str = "active", *, updated: str = "2026-12-01T09:32:50.123Z", **why: list[str]
) -> dict[str, Any]:
    status = {"state": state, "silencedBy": [], "inhibitedBy": [], "mutedBy": [], **why}
    return {"labels": {"alertname": "Watchdog"}, "status": status, "updatedAt": updated}


def test_an_alert_that_both_have_heard_of_lately_is_right() -> None:
    told = {"alertmanager-0": [alert()], "alertmanager-1": [alert(updated="2026-12-01T09:31:40Z")]}
    assert unheard("Watchdog", told, NOW) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([], "alertmanager-1: Watchdog: not there"),
        ([alert("unprocessed")], "alertmanager-1: Watchdog: unprocessed"),
        ([alert("suppressed", silencedBy=["a-b"])], "alertmanager-1: Watchdog: suppressed by silence a-b"),
        ([alert("suppressed", inhibitedBy=["f"])], "alertmanager-1: Watchdog: suppressed by alert f"),
        ([alert(updated="2026-12-01T09:30:00Z")], "alertmanager-1: Watchdog: heard of 200 s ago"),
    ],
)
def test_what_keeps_one_from_hearing_is_told(found: list[dict[str, Any]], said: str) -> None:
    assert unheard("Watchdog", {"alertmanager-0": [alert()], "alertmanager-1": found}, NOW) == [said]


def test_all_that_holds_an_alert_back_is_told() -> None:
    both = alert("suppressed", silencedBy=["a", "b"], inhibitedBy=["c"])
    assert held_back(both) == "suppressed by silence a, b; alert c"
    assert held_back(alert()) == ""


def status(*addresses: str, state: str = "ready", config: str = "") -> dict[str, Any]:
    peers = [{"name": address, "address": address} for address in addresses]
    return {"cluster": {"status": state, "peers": peers}, "config": {"original": config}}


def test_members_that_see_each_other_are_right() -> None:
    both = status("10.244.3.4:9094", "10.244.4.7:9094")
    assert alone({"alertmanager-0": both, "alertmanager-1": both}) == []


def test_a_member_that_is_alone_is_told() -> None:
    told = {
        "alertmanager-0": status("10.244.3.4:9094"),
        "alertmanager-1": status("a:9094", "b:9094", state="settling"),
        "alertmanager-2": {"cluster": {"status": "disabled"}},
    }
    assert alone(told) == [
        "alertmanager-0: is ready and sees 1 of 2: 10.244.3.4:9094",
        "alertmanager-1: is settling and sees 2 of 2: a:9094, b:9094",
        "alertmanager-2: is disabled and sees 0 of 2: nobody",
    ]


def test_another_configuration_is_told_with_its_member() -> None:
    wanted = configuration(LAB)
    good = text(wanted)
    told = {
        "alertmanager-0": status(config=good),
        "alertmanager-1": status(config=good.replace("group_wait: 1m", "group_wait: 2m")),
    }
    assert configured_otherwise(told, wanted) == [
        "alertmanager-1: route.group_wait: 2m is loaded, 1m is rendered"
    ]


class Pods:
    """A driver with pods of Alertmanager."""

    def __init__(self, number: int) -> None:
        self.number = number

    @property
    def cluster(self) -> Pods:
        return self

    def items(self, path: str) -> list[dict[str, Any]]:
        assert "alertmanager" in path
        return [{"metadata": {"name": f"alertmanager-{index}"}} for index in range(self.number)]


def test_each_member_is_asked_and_who_does_not_answer_is_no_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(_: object, pod: dict[str, Any], port: int, questions: list[asking.ApiQuestion]) -> list[Reply]:
        asked.append(f"{pod['metadata']['name']}:{port}{questions[0].path}")
        return [Reply(200 if len(asked) < 3 else 503, 0.1, "[]")]

    monkeypatch.setattr("addons.alertmanager.client.asked", answer)
    both = Alertmanagers(Pods(2))  # type: ignore[arg-type]
    assert both.alerts(alertname="Watchdog") == {"alertmanager-0": [], "alertmanager-1": []}
    assert asked[1] == "alertmanager-1:9093/api/v2/alerts?filter=alertname%3D%22Watchdog%22"
    with pytest.raises(CouldNotTell, match="alertmanager-0: /api/v2/status: status 503"):
        both.told("/api/v2/status")
    with pytest.raises(CouldNotTell, match="1 of 2 pods"):
        Alertmanagers(Pods(1)).told("/api/v2/status")  # type: ignore[arg-type]


def test_architectures_are_told_by_node() -> None:
    found = [
        Sample({"node": "a", "label_kubernetes_io_arch": "arm64"}, 1),
        Sample({"node": "b"}, 1),
    ]
    assert architectures(found) == {"a": "arm64", "b": "not told"}


def test_the_machines_of_alerts_are_told_by_member() -> None:
    one = {**alert(), "labels": {"host": "worker-2"}}
    other = {**alert("suppressed", inhibitedBy=["f"]), "labels": {"host": "worker-1"}}
    assert told_of({"alertmanager-0": [one, other], "alertmanager-1": [alert()], "alertmanager-2": []}) == {
        "alertmanager-0": ["worker-1 suppressed by alert f", "worker-2"],
        "alertmanager-1": ["no machine"],
        "alertmanager-2": [],
    }


def test_the_suites_rules_are_told_by_their_file() -> None:
    groups = [
        {"name": "nodes-short", "file": "/etc/prometheus/rules/suite.yaml"},
        {"name": "nodes", "file": "/etc/prometheus/rules/nodes.yaml"},
    ]
    assert suite_rules.copies({"groups": groups}) == ["nodes-short"]
    assert suite_rules.without() == {"data": {suite_rules.FILE: None}}
    assert suite_rules.FILE not in rules(LAB)
