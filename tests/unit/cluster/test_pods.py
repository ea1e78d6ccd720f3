"""Why the pods of a workload are not Ready."""

from __future__ import annotations

from typing import Any

import pytest

from lab.cluster.pods import LONGEST, matches, unready, why_unready
from lab.cluster.workloads import named, ready
from lab.objects import Object
from lab.waits import NotYet
from tests.fake_api import FakeApi

PULL = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "registry.invalid/none:1"'}


def pod(name: str = "store-0", is_so: bool = False, **status: Any) -> Object:
    meta = {"name": name, "namespace": "toy", "labels": {"app": "store"}}
    told = {"phase": "Pending", "conditions": [{"type": "Ready", "status": str(is_so)}]}
    return {"metadata": meta, "status": told | status}


def containers(*states: Object, kind: str = "containerStatuses") -> Object:
    return {kind: [{"name": "store", "ready": False} | state for state in states]}


def test_a_pod_that_is_ready_or_has_done_its_work_lacks_nothing() -> None:
    assert why_unready(pod(is_so=True)) == ""
    assert why_unready(pod(phase="Succeeded")) == ""


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (containers({"state": {"waiting": PULL}}), f"store: ImagePullBackOff: {PULL['message']}"),
        (containers({"state": {"waiting": {"reason": "ContainerCreating"}}}), "store: ContainerCreating"),
        (containers({"state": {"running": {}}}), "store: is not ready"),
        (containers({"ready": True}, {"name": "other", "state": {"running": {}}}), "other: is not ready"),
        (
            containers({"state": {"terminated": {"exitCode": 3, "message": "no\n such file"}}}),
            "store: ended with exit code 3: no such file",
        ),
        (
            containers({"state": {"waiting": PULL}}, kind="initContainerStatuses")
            | containers({"state": {"waiting": {"reason": "PodInitializing"}}}),
            f"store: ImagePullBackOff: {PULL['message']}",
        ),
        (
            containers(
                {"ready": False, "state": {"terminated": {"exitCode": 0}}}, kind="initContainerStatuses"
            )
            | containers({"state": {"waiting": {"reason": "PodInitializing"}}}),
            "store: PodInitializing",
        ),
        (
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": "0/5 nodes are available",
                    }
                ]
            },
            "Unschedulable: 0/5 nodes are available",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, "Evicted: low on disk"),
        ({}, "Pending"),
        (
            containers({"state": {"waiting": {"reason": "E", "message": "x" * 999}}}),
            f"store: E: {'x' * LONGEST}...",
        ),
    ],
)
def test_a_pod_says_what_it_waits_for(status: Object, said: str) -> None:
    assert why_unready(pod(**status)) == said


def test_a_pod_that_is_being_removed_says_so() -> None:
    item = pod()
    item["metadata"]["deletionTimestamp"] = "2026-12-01T00:00:00Z"
    assert why_unready(item) == "is being removed"


@pytest.mark.parametrize(
    ("selector", "is_so"),
    [
        ({"matchLabels": {"app": "store"}}, True),
        ({"matchLabels": {"app": "shop"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "store"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["store"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["store"]}]}, True),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
        (
            {"matchLabels": {"app": "store"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            False,
        ),
    ],
)
def test_a_selector_matches_labels_as_the_api_has_it(selector: Object, is_so: bool) -> None:
    assert matches(selector, {"app": "store"}) is is_so


def test_a_workload_that_is_waited_for_names_its_pods_and_their_state() -> None:
    api = FakeApi()
    api.objects["/apis/apps/v1/namespaces/toy/statefulsets/store"] = {
        "metadata": {"name": "store", "namespace": "toy", "generation": 1},
        "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "store"}}},
        "status": {"observedGeneration": 1, "readyReplicas": 1, "updatedReplicas": 5},
    }
    stranger = pod("stranger", **containers({"state": {"waiting": PULL}}))
    stranger["metadata"]["labels"] = {}
    pods = [pod(f"store-{n}", n == 0, **containers({"state": {"running": {}}})) for n in range(5)]
    for item in (stranger, *pods):
        api.objects[f"/api/v1/namespaces/toy/pods/{item['metadata']['name']}"] = item
    with pytest.raises(NotYet) as told:
        ready(api, named("statefulset/toy/store"))
    assert str(told.value) == (
        "statefulset/toy/store: 1 of 5 ready, 5 of the newest version; pod store-1: store: is not ready; "
        "pod store-2: store: is not ready; 2 more"
    )
    assert unready(api, {"metadata": {"namespace": "toy"}, "spec": {}}) == ""
