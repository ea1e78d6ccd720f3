"""Targets beside the inventory: what is missing, strange, labelled otherwise, down or slow is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from addons.prometheus import asking
from addons.prometheus.asking import ApiQuestion, Reply, Sample, asked, data_of, living, samples_of
from addons.prometheus.found import ScrapeTarget, active, differences, down, seconds, slow
from addons.prometheus.section_jobs import hosts_of, jobs, targets
from lab.addons import selected
from lab.checks.outcomes import CouldNotTell
from lab.inventory.models import Inventory
from tests.world import INVENTORY, inventory

LOGS = INVENTORY + "observability: {logs: {store: victorialogs}}\n"


@pytest.fixture
def lab() -> Inventory:
    return inventory(LOGS)


def good(lab: Inventory) -> list[ScrapeTarget]:
    """All targets of a healthy lab."""
    found = []
    for job in jobs(lab):
        for name in hosts_of(lab, job):
            host = lab.hosts[name]
            labels = {
                "job": job.name,
                "instance": f"{lab.addresses[name]}:{job.port}",
                "host": name,
                "role": host.role.value,
                "arch": host.arch.value,
            }
            found.append(ScrapeTarget(job.name, labels, "up", "", 0.1, 30))
    for item in (item for addon in selected(lab) for item in addon.metrics):
        number = targets(lab)[item.job] // len(item.ports)
        for index in range(number):
            node = lab.nodes[index % len(lab.nodes)]
            for port in item.ports:
                labels = {"job": item.job, "instance": f"10.244.0.{index}:{port}", "host": node}
                found.append(ScrapeTarget(item.job, labels, "up", "", 0.1, 30))
    return found


def test_a_healthy_lab_has_no_difference(lab: Inventory) -> None:
    found = good(lab)
    assert differences(lab, found) == []
    assert down(found) == []
    assert slow(found) == {}
    counted = {job: sum(one.job == job for one in found) for job in targets(lab)}
    assert counted == targets(lab)
    assert {"probes", "kube-state-metrics", "vlagent", "coredns", "etcd"} <= counted.keys()


def without(job: str, host: str) -> Callable[[Sequence[ScrapeTarget]], list[ScrapeTarget]]:
    return lambda found: [one for one in found if (one.job, one.labels["host"]) != (job, host)]


def relabelled(job: str, at: str, **labels: str) -> Callable[[Sequence[ScrapeTarget]], list[ScrapeTarget]]:
    return lambda found: [
        replace(one, labels={**one.labels, **labels}) if (one.job, one.labels["host"]) == (job, at) else one
        for one in found
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (without("node", "haproxy"), ["node: haproxy 10.1.1.50:9100: is no target"]),
        (
            relabelled("node", "worker-1", host="worker-9"),
            ["node: worker-1 10.1.1.31:9100: label host is worker-9, not worker-1"],
        ),
        (
            relabelled("kubelet", "worker-2", arch="arm64"),
            ["kubelet: worker-2 10.1.1.32:10250: label arch is arm64, not amd64"],
        ),
        (
            relabelled("etcd", "master-1", instance="10.1.1.99:2381"),
            [
                "etcd: master-1 10.1.1.11:2381: is no target",
                "etcd: master-1 10.1.1.99:2381: nothing that the inventory names",
            ],
        ),
        (without("vlagent", "worker-2"), ["vlagent: 0 targets on worker-2", "vlagent: 4 of 5 targets"]),
        (
            lambda found: [*found, ScrapeTarget("stranger", {"instance": "a:1"}, "up", "", 0.1, 30)],
            ["stranger: a job that is none of the inventory's"],
        ),
        (
            lambda found: [one for one in found if one.job != "kube-state-metrics"],
            ["kube-state-metrics: 0 of 2 targets"],
        ),
    ],
)
def test_each_difference_is_named(
    lab: Inventory, change: Callable[[Sequence[ScrapeTarget]], list[ScrapeTarget]], told: list[str]
) -> None:
    assert differences(lab, change(good(lab))) == told


def test_another_port_of_pods_is_named(lab: Inventory) -> None:
    found = [
        replace(one, labels={**one.labels, "instance": "10.244.0.0:9094"})
        if one.job == "alertmanager"
        else one
        for one in good(lab)
    ]
    assert differences(lab, found) == ["alertmanager: port 9094, which is none of 9093"]


def test_what_is_down_is_told_with_its_error(lab: Inventory) -> None:
    found = [
        replace(one, health="down", error="server returned HTTP status 403 Forbidden")
        if one.job == "kube-scheduler" and one.labels["host"] == "master-2"
        else one
        for one in good(lab)
    ]
    assert down(found) == [
        "kube-scheduler: master-2 10.1.1.12:10259: down: server returned HTTP status 403 Forbidden"
    ]
    assert down([replace(found[0], health="unknown")]) == [f"{found[0].title}: unknown: "]


def test_a_job_of_which_one_in_three_is_slow_is_told(lab: Inventory) -> None:
    found = [
        replace(one, took=7.6) if one.job == "cadvisor" and one.labels["host"] == "worker-1" else one
        for one in good(lab)
    ]
    assert slow(found) == {"cadvisor": "cadvisor: worker-1 10.1.1.31:10250: 7.6 s of 30 s"}
    many = [replace(found[0], took=9.0 if number == 0 else 0.1) for number in range(20)]
    assert slow(many) == {}, "one of twenty may be slow"


def test_durations_are_read() -> None:
    assert [seconds(text) for text in ("30s", "1m", "1m30s", "250ms", "1h0m5s")] == [30, 60, 90, 0.25, 3605]


def test_an_answer_of_the_api_is_read() -> None:
    data = {
        "activeTargets": [
            {
                "discoveredLabels": {"__address__": "10.1.1.31:9100"},
                "labels": {"host": "worker-1", "instance": "10.1.1.31:9100", "job": "node"},
                "scrapePool": "node",
                "scrapeUrl": "https://10.1.1.31:9100/metrics",
                "globalUrl": "https://10.1.1.31:9100/metrics",
                "lastError": "",
                "lastScrape": "2026-12-01T10:00:00.1Z",
                "lastScrapeDuration": 0.04,
                "health": "up",
                "scrapeInterval": "30s",
                "scrapeTimeout": "10s",
            }
        ]
    }
    (target,) = active(data)
    assert (target.title, target.took, target.interval) == ("node: worker-1 10.1.1.31:9100", 0.04, 30)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(503, 0.1, "Service Unavailable"), "up: status 503: Service Unavailable"),
        (Reply(0, 20.0, ""), "up: status 0: no answer in time"),
        (Reply(200, 0.1, "<html>"), "up: answers '<html>'"),
        (Reply(200, 0.1, "[]"), r"up: answers '\[\]'"),
    ],
)
def test_what_is_no_answer_is_no_finding(reply: Reply, said: str) -> None:
    with pytest.raises(CouldNotTell, match=said):
        data_of("up", reply)


def test_samples_have_labels_and_a_value() -> None:
    data = {"resultType": "vector", "result": [{"metric": {"job": "node"}, "value": [1.5, "6"]}]}
    assert samples_of(data) == [Sample({"job": "node"}, 6.0)]
    assert [*asking.lines(samples_of(data))] == ["job=node: 6"]


class Machine:
    """A driver whose machines answer with a text, and whose cluster has pods."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.pods = pods
        self.questions: list[list[dict[str, Any]]] = []

    @property
    def cluster(self) -> Machine:
        return self

    def items(self, path: str) -> list[dict[str, Any]]:
        assert path.endswith("labelSelector=app.kubernetes.io%2Fname%3Dprometheus")
        return [*self.pods]

    def read(self, host: str, command: str, *, stdin: str, seconds: float) -> str:
        assert command.startswith("python3 -c ")
        request = json.loads(stdin)
        assert (host, request["base"]) == ("worker-1", "http://10.244.1.2:9090")
        assert seconds > request["seconds"] * len(request["questions"])
        self.questions.append(request["questions"])
        return json.dumps(
            [{"status": 200, "seconds": 0.1, "body": item["path"]} for item in self.questions[-1]]
        )


def pod(name: str, **meta: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, **meta},
        "spec": {"nodeName": "worker-1"},
        "status": {"podIP": "10.244.1.2"},
    }


def test_many_questions_are_few_round_trips() -> None:
    machine = Machine()
    questions = [ApiQuestion(f"/{number}", {"query": "up"}) for number in range(asking.AT_ONCE + 3)]
    found = asked(machine, pod("prometheus-0"), 9090, questions)  # type: ignore[arg-type]
    assert [one.body for one in found] == [one.path for one in questions]
    assert [len(some) for some in machine.questions] == [asking.AT_ONCE, 3]
    compile(asking.PROGRAM, "asked", "exec")


def test_pods_that_go_are_not_asked() -> None:
    machine = Machine(pod("b"), pod("c", deletionTimestamp="now"), pod("a"))
    found = living(machine, "prometheus")  # type: ignore[arg-type]
    assert [item["metadata"]["name"] for item in found] == ["a", "b"]
    with pytest.raises(CouldNotTell, match="has no pod"):
        asking.PrometheusApi(Machine()).pod  # type: ignore[arg-type] # noqa: B018
    with pytest.raises(CouldNotTell, match="a: has no address"):
        asked(machine, {**pod("a"), "status": {}}, 9090, [ApiQuestion("/")])  # type: ignore[arg-type]
