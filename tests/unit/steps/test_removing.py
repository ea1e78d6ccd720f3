"""What left the inventory: planned by name, removed last and dependants first."""

from __future__ import annotations

import pytest
import yaml

from lab.addons.mark import LABEL
from lab.cluster.api import ApiError
from lab.objects import Object
from lab.steps import services
from lab.steps.engine import StepsFailedError, something_to_do
from tests.unit.steps.leftovers import RENAMED, SPEAKER, WITHOUT_INGRESS, of, plan, put, run, said, title
from tests.world import World

pytestmark = pytest.mark.usefixtures("nothing_unplanned")


def test_an_add_on_that_left_is_planned_object_by_object_and_nothing_else_is(built: World) -> None:
    steps = plan(built, WITHOUT_INGRESS)
    assert {step.key for step in steps if step.will} == {"remove-traefik"}
    told = said(steps, "remove-traefik")
    assert told[0] == "remove Deployment/traefik/traefik, which the inventory no longer names"
    assert told[-1] == "remove Namespace/traefik, which the inventory no longer names"
    assert "remove Deployment/traefik/traefik, which the inventory no longer names" in told
    assert "remove Secret/traefik/default-certificate, which the inventory no longer names" in told
    assert "remove Namespace/traefik, which the inventory no longer names" in told
    assert len(told) == 10
    assert built.api.deleted == []


def test_a_build_removes_it_keeps_it_as_evidence_and_then_there_is_nothing_to_do(built: World) -> None:
    folder = run(built, WITHOUT_INGRESS)
    assert [path for path in built.api.objects if "traefik" in path] == []
    kinds = [path.split("/")[-2] for path in built.api.deleted]
    assert (kinds[0], kinds[-1], len(kinds)) == ("deployments", "namespaces", 10)
    kept = {path.name: path.read_text() for path in (folder / "removed").iterdir()}
    assert yaml.safe_load(kept["Deployment.traefik.traefik.yaml"])["spec"]["replicas"] == 2
    assert len(kept) == 9, "a secret is not kept"
    assert "Secret.traefik.default-certificate.yaml" not in kept
    assert not something_to_do(plan(built))


def test_what_it_stood_on_stays(built: World) -> None:
    before = set(built.api.objects)
    run(built, WITHOUT_INGRESS)
    assert {path for path in before - set(built.api.objects) if "traefik" not in path} == set()
    assert built.api.applied == []


def test_add_ons_are_removed_dependants_first_though_their_folders_are_gone(built: World) -> None:
    low = put(built, "ConfigMap", "low", "x", **of("low", "metallb"))
    high = put(built, "ConfigMap", "high", "x", **of("high", "traefik"))
    top = put(built, "ConfigMap", "top", "x", **of("top", "high"))
    pool = put(built, "ConfigMap", "pool", "metallb-system", **of("metallb", "flannel"))
    told = [step.subject for step in plan(built) if step.will]
    assert told.index("top") < told.index("high") < told.index("metallb"), "a plan is told in this order"
    assert told.index("low") < told.index("metallb")
    run(built)
    order = built.api.deleted
    assert order.index(top) < order.index(high) < order.index(pool)
    assert order.index(low) < order.index(pool)


def test_needs_that_a_hand_turned_into_a_circle_stop_nobody(built: World) -> None:
    put(built, "ConfigMap", "a", "x", **of("a", "b"))
    put(built, "ConfigMap", "b", "x", **of("b", "a"))
    run(built)
    assert sorted(map(title, built.api.deleted)) == ["a", "b"]


def test_what_is_new_is_applied_before_what_is_old_goes(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.api.objects.pop(SPEAKER)
    old = put(built, "ConfigMap", "old", "metallb-system", **of("metallb"))
    steps = {step.key: step for step in plan(built)}
    assert steps["remove-metallb"].needs == {"api", "addon-metallb"}
    assert {"remove-metallb"} <= steps["nodes"].after

    def refused(*_: object) -> tuple[bool, str]:
        raise ApiError("PATCH speaker", 422, "is invalid")

    with monkeypatch.context() as patched:
        patched.setattr(services, "apply_addon", refused)
        with pytest.raises(StepsFailedError, match="not done: what is left of metallb: add-on metallb: fail"):
            run(built)
    assert old in built.api.objects
    run(built)
    assert old not in built.api.objects


def test_a_webhook_whose_server_may_be_gone_goes_before_anything_is_applied(built: World) -> None:
    built.api.objects.pop(SPEAKER)
    version = "admissionregistration.k8s.io/v1"
    hook = put(built, "ValidatingWebhookConfiguration", "judge", version=version, **of("former"))
    steps = {step.key: step for step in plan(built)}
    assert steps["addon-metallb"].after == {"remove-webhooks"}
    assert steps["remove-webhooks"].will == (
        "remove ValidatingWebhookConfiguration/judge, which the inventory no longer names",
    )
    assert "remove-former" not in steps
    run(built)
    assert built.api.deleted == [hook]
    assert SPEAKER in built.api.objects


def test_a_build_that_was_killed_in_the_middle_is_finished_by_another(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    delete, left = built.api.delete, 4

    def dies(path: str, options: Object | None = None) -> bool:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return delete(path, options)

    monkeypatch.setattr(built.api, "delete", dies)
    with pytest.raises(KeyboardInterrupt):
        run(built, WITHOUT_INGRESS)
    monkeypatch.setattr(built.api, "delete", delete)
    assert len(said(plan(built), "remove-traefik")) == 6
    run(built)
    assert [path for path in built.api.objects if "traefik" in path] == []


def test_what_a_lab_has_of_an_older_version_is_removed_too(built: World) -> None:
    """Its objects have no label, and the API server notes who applied them."""
    for path, item in built.api.objects.items():
        if "traefik" in path:
            del item["metadata"]["labels"][LABEL]
            item["metadata"].pop("annotations", None)
    steps = plan(built, WITHOUT_INGRESS)
    assert len(said(steps, "remove-traefik")) == 7
    assert said(steps, "remove-unlabelled") == (
        "remove ClusterRole/traefik, which the inventory no longer names",
        "remove ClusterRoleBinding/traefik, which the inventory no longer names",
        "remove IngressClass/traefik, which the inventory no longer names",
    )
    assert "remove-traefik" in next(step.needs for step in steps if step.key == "remove-unlabelled")
    run(built)
    assert [path for path in built.api.objects if "traefik" in path] == []
    assert "/apis/apps/v1/namespaces/kube-system/deployments/coredns" in built.api.objects


def test_a_lab_of_an_older_version_is_given_its_labels_and_nothing_is_removed(built: World) -> None:
    for item in built.api.objects.values():
        item["metadata"].get("labels", {}).pop(LABEL, None) if "metadata" in item else None
    steps = plan(built)
    assert not any(sentence.startswith("remove") for step in steps for sentence in step.will)
    assert "change Namespace/metallb-system" in said(steps, "addon-metallb")
    run(built)
    assert built.api.deleted == []
    assert not something_to_do(plan(built))


def test_a_pool_of_an_older_version_is_known_as_metallbs(built: World) -> None:
    for item in built.api.objects.values():
        item["metadata"].get("labels", {}).pop(LABEL, None) if "metadata" in item else None
    assert said(plan(built, RENAMED), "addon-metallb")[0].startswith(
        "remove IPAddressPool/metallb-system/def"
    )
