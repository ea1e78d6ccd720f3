"""What the platform runs: workloads by their own rule, pods that stay, pinned images."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lab.checks.cluster import Cluster
from lab.checks.platform import (
    differing_contents,
    lacking_workloads,
    newest,
    unpinned_images,
    unsteady_pods,
)
from lab.objects import Object

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Lists(Cluster):
    """Lists by the end of their path; every other one is empty."""

    def __init__(self, **lists: list[Object]) -> None:
        self._lists = lists

    def items(self, path: str) -> list[Object]:
        return self._lists.get(path.rpartition("/")[2], [])


def item(name: str, status: Object, spec: Object | None = None, **meta: Any) -> Object:
    return {"metadata": {"name": name, "namespace": "toy"} | meta, "spec": spec or {}, "status": status}


def done(kind: str, message: str = "") -> Object:
    return {"conditions": [{"type": kind, "status": "True", "message": message}]}


def cron(name: str, status: Object, born: str) -> Object:
    owner = {"kind": "CronJob", "uid": "clock"}
    return item(name, status, ownerReferences=[owner], creationTimestamp=born)


def test_a_daemon_set_that_rightly_skips_nodes_is_ready() -> None:
    some = {"desiredNumberScheduled": 2, "numberReady": 2, "updatedNumberScheduled": 2}
    assert lacking_workloads(Lists(daemonsets=[item("agents", some)]), ["toy"]) == {}
    lacks = some | {"numberReady": 1}
    assert lacking_workloads(Lists(daemonsets=[item("agents", lacks)]), ["toy"]) == {
        "daemonset toy/agents": "1 of 2 ready, 2 of the newest version"
    }


@pytest.mark.parametrize("kind", ["deployments", "statefulsets"])
def test_replicas_that_are_missing_are_named(kind: str) -> None:
    whole = {"readyReplicas": 2, "updatedReplicas": 2}
    spec = {"replicas": 2}
    assert lacking_workloads(Lists(**{kind: [item("a", whole, spec)]}), ["toy"]) == {}
    found = lacking_workloads(Lists(**{kind: [item("a", whole | {"readyReplicas": 1}, spec)]}), ["toy"])
    assert found == {f"{kind[:-1]} toy/a": "1 of 2 ready, 2 of the newest version"}
    assert lacking_workloads(Lists(**{kind: [item("a", whole, {"replicas": 0})]}), ["toy"])


def test_a_complete_job_is_ready_and_a_failed_one_is_named() -> None:
    jobs = [
        item("good", done("Complete")),
        item("bad", done("Failed", "deadline")),
        item("late", {"active": 1}),
    ]
    assert lacking_workloads(Lists(jobs=jobs), ["toy"]) == {
        "job toy/bad": "has failed: deadline",
        "job toy/late": "0 of 1 done",
    }


def test_of_a_cron_job_the_last_end_counts() -> None:
    failed, complete = done("Failed", "once"), done("Complete")
    mended = [cron("a", failed, "2026-01-01"), cron("b", complete, "2026-01-02"), cron("c", {}, "2026-01-03")]
    assert lacking_workloads(Lists(jobs=mended), ["toy"]) == {}
    broken = [cron("a", complete, "2026-01-01"), cron("b", failed, "2026-01-02")]
    assert lacking_workloads(Lists(jobs=broken), ["toy"]) == {"job toy/b": "has failed: once"}
    assert newest([cron("c", {}, "2026-01-03")]) == []


def container(name: str = "main", seconds: float = 600, restarts: int = 0, **fields: Any) -> Object:
    running = {"startedAt": (NOW - timedelta(seconds=seconds)).isoformat()}
    return {"name": name, "ready": True, "restartCount": restarts, "state": {"running": running}} | fields


def pod(phase: str = "Running", *states: Object, owner: str = "ReplicaSet", **spec: Any) -> Object:
    status = {"phase": phase, "containerStatuses": list(states)}
    return item("p", status, spec, ownerReferences=[{"kind": owner, "uid": "u"}])


WAITING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
KILLED = {"terminated": {"reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (pod("Running", container()), ""),
        (pod("Running", container(restarts=3)), ""),
        (pod("Succeeded", owner="Job"), ""),
        (pod("Failed", owner="Job"), ""),
        (pod("Succeeded"), "Succeeded"),
        (pod("Failed"), "Failed"),
        (pod("Pending"), "Pending"),
        (pod("Running", container(state=WAITING), owner="Job"), "main: CrashLoopBackOff: back-off"),
        (pod("Running", container(state={"terminated": {}})), "main: terminated"),
        (pod("Running", container(ready=False)), "main: not ready"),
        (pod("Running", container(lastState=KILLED)), "main: was killed for its memory"),
        (pod("Running", container(seconds=5, restarts=2)), "main: restarted 5 s ago (2 times in all)"),
    ],
)
def test_a_pod_runs_and_stays_or_is_a_job_s_that_has_ended(one: Object, said: str) -> None:
    assert unsteady_pods([one], NOW) == ({"toy/p": said} if said else {})


IMAGES = {"etcd": "example/etcd:v1", "toy": "example/toy:v2"}


def of(name: str, image: str, kind: str = "containers") -> Object:
    return item("p", {}, {kind: [{"name": name, "image": image}]})


def test_pinned_images_are_accepted() -> None:
    pods = [
        of("main", "example/toy:v2"),
        of("etcd", "example/etcd:v1"),
        of("init", "example/toy:v2", "initContainers"),
    ]
    assert unpinned_images(pods, IMAGES) == {}


@pytest.mark.parametrize("kind", ["containers", "initContainers", "ephemeralContainers"])
def test_an_image_that_nobody_pinned_is_named(kind: str) -> None:
    assert unpinned_images([of("main", "example/toy:v3", kind)], IMAGES) == {"toy/p main": "example/toy:v3"}


def test_a_container_that_is_called_as_a_component_has_the_image_of_that_one() -> None:
    assert unpinned_images([of("etcd", "example/toy:v2")], IMAGES) == {"toy/p etcd": "example/toy:v2"}


def running(node: str, content: str) -> Object:
    made = of("main", "example/toy:v2")
    made["spec"]["nodeName"] = node
    made["status"]["containerStatuses"] = [{"name": "main", "imageID": content}]
    return made


def test_one_reference_is_one_content_on_all_nodes_of_an_architecture() -> None:
    nodes = {"a": "amd64", "b": "amd64", "pi": "arm64"}
    same = [
        running("a", "sha256:1"),
        running("b", "sha256:1"),
        running("pi", "sha256:2"),
        running("x", "sha256:9"),
    ]
    assert differing_contents(same, nodes) == {}
    found = differing_contents([running("a", "sha256:11"), running("b", "sha256:22")], nodes)
    assert found == {"example/toy:v2 (amd64)": "11 on a; 22 on b"}
    assert differing_contents([running("a", ""), running("b", "sha256:1")], nodes) == {}
