"""Waits for nodes and add-ons: what is missing by name, and what is asked once only."""

from __future__ import annotations

import pytest

from lab.addons import AddOn, selected
from lab.cluster import webhooks
from lab.cluster.api import ApiError
from lab.errors import DeadlineError, FailedError
from lab.objects import Object, title
from lab.steps import services
from lab.steps.context import Context
from lab.steps.engine import Stopped
from tests.fakes import FakeClock
from tests.world import World, inventory


def addon(name: str) -> AddOn:
    return next(item for item in selected(inventory()) if item.name == name)


@pytest.fixture
def up(up: World) -> World:
    """A cluster without add-ons."""
    for name in up.inventory.nodes:
        up.becomes_member(name, founding=name == "master-1")
    return up


def test_nodes_are_waited_for_and_the_missing_ones_named(up: World, context: Context) -> None:
    assert services.nodes(context) == (False, "5 nodes")
    up.lose("worker-2")
    up.api.objects.pop("/api/v1/nodes/worker-2", None)
    with pytest.raises(
        DeadlineError, match="all nodes Ready: not within 300 s; last seen: not joined: worker-2"
    ):
        services.nodes(context)


def test_a_node_of_which_a_step_has_failed_is_not_waited_for(up: World, context: Context) -> None:
    up.lose("worker-2")
    context.engine.lost |= {"boot:worker-2", "addon-metallb"}
    assert services.nodes(context) == (False, "4 nodes")


def test_a_workload_is_waited_for_and_named(up: World, context: Context, clock: FakeClock) -> None:
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
        assert services.addon_ready(context, item) == (False, "")
    path = "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"
    up.api.objects[path]["status"]["numberReady"] = 0
    begun = clock.now
    with pytest.raises(
        DeadlineError,
        match="metallb ready: not within 300 s; last seen: daemonset/metallb-system/speaker: 0 of",
    ):
        services.addon_ready(context, addon("metallb"))
    assert clock.now - begun == pytest.approx(services.READY_SECONDS, abs=1)


def test_everything_that_an_addon_waits_for_is_named(up: World, context: Context) -> None:
    services.apply_addon(context, addon("metallb"))
    for path in ("daemonsets/speaker", "deployments/controller"):
        up.api.objects.pop(f"/apis/apps/v1/namespaces/metallb-system/{path}")
    lacking = r"deployment/\S+/controller: does not exist; daemonset/\S+/speaker: does not exist"
    with pytest.raises(DeadlineError, match=lacking):
        services.addon_ready(context, addon("metallb"))


def test_of_many_that_are_waited_for_a_few_are_told(up: World, context: Context) -> None:
    services.apply_addon(context, addon("metallb"))
    for path in [path for path in up.api.objects if "metallb" in path]:
        up.api.objects.pop(path)
    with pytest.raises(DeadlineError, match=r"does not exist; [0-9]+ more") as raised:
        services.addon_ready(context, addon("metallb"))
    assert raised.value.message.count("does not exist") == services.MOST_TOLD


def test_a_job_that_has_given_up_is_told_at_once_whatever_else_is_waited_for(
    up: World, context: Context, clock: FakeClock
) -> None:
    services.apply_addon(context, addon("metallb"))
    up.api.objects.pop("/apis/apps/v1/namespaces/metallb-system/deployments/controller")
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"namespace": "metallb-system", "name": "once"},
    }
    context.addon_objects[addon("metallb")].append(job)
    gave_up = {"type": "Failed", "status": "True", "message": "has reached the backoff limit"}
    up.api.objects["/apis/batch/v1/namespaces/metallb-system/jobs/once"] = job | {
        "spec": {},
        "status": {"conditions": [gave_up]},
    }
    begun = clock.now
    with pytest.raises(FailedError, match="has failed: has reached the backoff limit"):
        services.addon_ready(context, addon("metallb"))
    assert clock.now == begun


def test_what_was_ready_when_compared_is_asked_again_only_where_something_was_changed(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
    up.api.objects["/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"]["status"]["numberReady"] = 0
    assert not services.addon_changes(context, addon("metallb"))
    asked: list[str] = []
    monkeypatch.setattr(services, "ready", lambda _, item: asked.append(title(item)))
    services.addon_ready(context, addon("metallb"))
    assert "DaemonSet/metallb-system/speaker" in asked, "it was not ready"
    assert "Deployment/metallb-system/controller" not in asked
    monkeypatch.setattr(context.engine, "_changed", True)
    services.addon_ready(context, addon("metallb"))
    assert "Deployment/metallb-system/controller" in asked


def test_webhooks_are_asked_while_an_add_on_is_compared_but_for_a_plan(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
    admission = "ValidatingWebhookConfiguration/metallb-webhook-configuration"
    [living] = [
        item for item in up.api.objects.values() if item.get("kind") == "ValidatingWebhookConfiguration"
    ]
    living["webhooks"] = [{"name": "webhook", "clientConfig": {"url": "https://10.96.0.9"}}]
    silent = {"webhook": "service metallb-system/metallb-webhook-service: no endpoints"}
    asked: set[str] = set()

    def answering(_: object, item: Object) -> dict[str, str]:
        asked.add(title(item))
        return {}

    monkeypatch.setattr(webhooks, "unanswered", answering)
    context.planning = True
    services.addon_changes(context, addon("metallb"))
    assert "Deployment/metallb-system/controller" in context.found_ready
    assert admission not in asked
    context.planning = False
    services.addon_changes(context, addon("metallb"))
    assert admission in context.found_ready
    context.found_ready.clear()
    monkeypatch.setattr(webhooks, "unanswered", lambda _, item: silent if webhooks.clients(item) else {})
    services.addon_changes(context, addon("metallb"))
    assert admission not in context.found_ready
    assert "Deployment/metallb-system/controller" in context.found_ready


def test_an_api_that_goes_away_while_it_is_waited_for_is_not_the_end(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([ApiError("GET nodes", 500, "etcdserver: leader changed"), None])
    items = up.api.items

    def flaky(path: str) -> object:
        error = next(answers, None)
        if error:
            raise error
        return items(path)

    monkeypatch.setattr(up.api, "items", flaky)
    services.nodes(context)


def test_a_wait_is_left_when_the_build_is_stopped(up: World, context: Context) -> None:
    up.lose("worker-1")
    context.engine.stop.set()
    with pytest.raises(Stopped):
        services.nodes(context)
