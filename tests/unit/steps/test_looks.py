"""One object that cannot be looked at hides nothing else of its add-on: found is told, beside what is not."""

from __future__ import annotations

import pytest

from lab.addons import AddOn, selected
from lab.cluster.api import FIELD_MANAGER, ApiError, Unavailable
from lab.errors import DeadlineError, FailedError
from lab.objects import Object, title
from lab.steps import services
from lab.steps.addons import RESTORE, applying, compared
from lab.steps.context import Context
from lab.steps.engine import Step, not_looked_at
from lab.steps.looks import Looks, PartlySeenError
from tests.world import World, inventory

SPACE = "/namespaces/metallb-system"
SPEAKER = f"/apis/apps/v1{SPACE}/daemonsets/speaker"
POOL = f"/apis/metallb.io/v1beta1{SPACE}/ipaddresspools/default"
SILENT = 'failed calling webhook "pools.metallb.io": connection refused'


def addon(name: str) -> AddOn:
    return next(item for item in selected(inventory()) if item.name == name)


@pytest.fixture
def up(up: World, context: Context) -> World:
    """A cluster with its add-ons."""
    for name in up.inventory.nodes:
        up.becomes_member(name, founding=name == "master-1")
    for item in selected(context.lab.inventory):
        services.apply_addon(context, item)
    up.api.applied.clear()
    return up


def refusing(
    world: World, monkeypatch: pytest.MonkeyPatch, kinds: dict[str, tuple[int, str]]
) -> list[tuple[str, str]]:
    """The API refuses to apply these kinds, and those asked for are noted by kind and name."""
    real, asked = world.api.apply, list[tuple[str, str]]()

    def apply(item: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:
        asked.append((item["kind"], item["metadata"]["name"]))
        if item["kind"] in kinds:
            raise ApiError(f"PATCH {world.api.path(item)}", *kinds[item["kind"]])
        return real(item, dry_run=dry_run, manager=manager)

    monkeypatch.setattr(world.api, "apply", apply)
    return asked


def test_what_differs_is_told_beside_an_object_that_the_api_refuses(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    up.api.objects.pop(SPEAKER)
    refusing(up, monkeypatch, {"IPAddressPool": (403, "forbidden"), "Deployment": (403, "forbidden, too")})
    with pytest.raises(PartlySeenError) as partly:
        services.addon_changes(context, addon("metallb"))
    told = sorted(line.rpartition("403: ")[2] for line in partly.value.message.splitlines())
    assert told == ["forbidden", "forbidden, too"]
    assert [change.name for change in partly.value.changes] == ["DaemonSet/metallb-system/speaker"]
    steps = {step.key: step for step in applying(context, compared(context))}
    step = steps["addon-metallb"]
    assert step.will == ("create DaemonSet/metallb-system/speaker",)
    assert isinstance(step.unknown, PartlySeenError)
    error = not_looked_at([step])
    assert error is step.unknown
    assert error.exit_code == 1
    assert up.api.applied == []


def test_what_judges_a_kind_and_is_silent_is_waited_for_once(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = up.api.objects[POOL]
    other = living | {"metadata": living["metadata"] | {"name": "other"}}
    up.api.objects[POOL.replace("default", "other")] = other
    more = [{**other, "metadata": {"name": "other", "namespace": "metallb-system"}}]
    context.addon_objects[addon("metallb")] += more
    up.api.objects[SPEAKER]["spec"]["minReadySeconds"] = 7
    context.addon_objects[addon("metallb")] = [
        item | {"spec": item["spec"] | {"minReadySeconds": 0}} if item["kind"] == "DaemonSet" else item
        for item in context.addon_objects[addon("metallb")]
    ]
    monkeypatch.setattr(services, "SIDE_BY_SIDE", 1)
    asked = refusing(up, monkeypatch, {"IPAddressPool": (500, SILENT)})
    with pytest.raises(PartlySeenError) as partly:
        services.addon_changes(context, addon("metallb"))
    assert {name for kind, name in asked if kind == "IPAddressPool"} == {"default"}
    first, second = partly.value.message.splitlines()
    assert first.startswith("dry run of IPAddressPool/metallb-system/default: not within 20 s; last seen: ")
    assert second == (
        "IPAddressPool/metallb-system/other: not asked, since nobody answered for IPAddressPool"
    )
    assert partly.value.exit_code == 4
    assert [change.name for change in partly.value.changes] == ["DaemonSet/metallb-system/speaker"]


HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/metallb-webhook-configuration"
TITLE = "ValidatingWebhookConfiguration/metallb-webhook-configuration"


HOOK = {"name": "a.toy.io", "rules": [], "clientConfig": {"service": {"namespace": "toy", "name": "hook"}}}


def edited(world: World, context: Context, client: Object | None = None) -> None:
    """A webhook that judges what it should not, as a hand has written it; and another difference."""
    for item in context.addon_objects[addon("metallb")]:
        if title(item) == TITLE:
            item["webhooks"] = [HOOK]
    changes = {"rules": [{"resources": ["*"]}]} | ({"clientConfig": client} if client else {})
    world.api.objects[HOOKS]["webhooks"] = [HOOK | changes]
    world.api.objects.pop(SPEAKER)


@pytest.mark.parametrize("how", ["nobody answers", "outside", "refused", "away"])
def test_webhooks_that_differ_and_may_refuse_the_rest_are_put_back_before_all_else(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    edited(up, context, {"url": "https://192.0.2.1/"} if how == "outside" else None)
    if how in ("outside", "refused"):
        monkeypatch.setattr("lab.cluster.webhooks.unanswered", lambda *_: {})
    if how == "refused":
        refusing(up, monkeypatch, {"ConfigMap": (500, SILENT)})
    if how == "away":

        def away(*_: object) -> None:
            raise Unavailable("API: connection refused")

        monkeypatch.setattr("lab.cluster.webhooks.unanswered", away)
    steps = applying(context, compared(context), after=[Step("x", "", "", frozenset(), lambda: (False, ""))])
    first, *others = steps
    assert (first.key, first.subject, first.will) == (RESTORE, "webhooks", (f"change {TITLE}",))
    assert (*first.needs, *first.after, len(first.diffs)) == ("api", "x", 1)
    assert {step.key for step in others} >= {"addon-metallb"}
    assert all(first.key in step.after for step in others)
    told = [sentence for step in others for sentence in step.will]
    assert told == ["create DaemonSet/metallb-system/speaker"]
    assert first.run() == (True, "1 objects")
    assert up.api.applied == [HOOKS]
    assert first.run() == (False, "")


def test_webhooks_that_answer_stay_behind_what_serves_them(
    up: World, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited(up, context)
    monkeypatch.setattr("lab.cluster.webhooks.unanswered", lambda *_: {})
    [step] = applying(context, compared(context))
    assert step.key == "addon-metallb"
    assert step.will == ("create DaemonSet/metallb-system/speaker", f"change {TITLE}")


def test_webhooks_that_are_not_there_yet_come_last(up: World, context: Context) -> None:
    up.api.objects.pop(HOOKS)
    [step] = applying(context, compared(context))
    assert step.will == (f"create {TITLE}",)


def found() -> list[None]:
    raise Unavailable("API: connection refused")


def test_an_api_that_is_away_is_asked_no_more() -> None:
    looks, asked = Looks(), list[str]()
    assert looks.at(found) == []
    assert looks.at(lambda: asked.append("again") or []) == []  # type: ignore[func-returns-value]
    with pytest.raises(PartlySeenError, match="API: connection refused") as partly:
        looks.judge([])
    assert (asked, partly.value.changes) == ([], ())


def test_each_reason_is_told_once_with_what_to_do_first() -> None:
    errors = [
        FailedError("a", next_step="do this"),
        FailedError("a", next_step="do this"),
        DeadlineError("b", 20, "c"),
    ]
    partly = PartlySeenError(errors, {}, [])
    assert partly.message == "a\nb: not within 20 s; last seen: c"
    assert (partly.next_step, partly.exit_code) == ("do this", 1)
    assert PartlySeenError(errors[2:], {}, []).exit_code == 4


def test_nothing_is_raised_when_all_was_seen() -> None:
    looks = Looks()
    assert looks.at(lambda: [None]) == []
    looks.judge([])
