"""What left the inventory: planned by name, removed last and dependants first, data not without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.addons.mark import LABEL, NEEDS
from lab.cluster.api import FIELD_MANAGER, ApiError, Unavailable
from lab.errors import DeadlineError, PreflightError
from lab.objects import Object
from lab.operations import build as operation
from lab.steps import removing, services
from lab.steps.context import Context
from lab.steps.engine import Step, StepsFailedError, listed, something_to_do
from tests.fakes import OURS
from tests.world import INVENTORY, World, inventory

pytestmark = pytest.mark.usefixtures("nothing_unplanned")

WITHOUT_INGRESS = INVENTORY.replace("ingress: {address: 10.1.1.100}\n", "")
RENAMED = INVENTORY.replace("name: default", "name: front")
POOLS = "/apis/metallb.io/v1beta1/namespaces/metallb-system/ipaddresspools"
SPEAKER = "/apis/apps/v1/namespaces/metallb-system/daemonsets/speaker"


@pytest.fixture
def built(world: World) -> World:
    """A lab that was built; what was applied and deleted on the way is forgotten."""
    run(world)
    world.api.applied.clear()
    world.api.deleted.clear()
    return world


def run(world: World, text: str = "", *words: str) -> Path:
    """Build the lab by this inventory; the folder of the run."""
    made = as_of(world, text)
    try:
        made.engine.execute(operation.steps(made, remove_data=words))
    finally:
        made.run.close()
    return made.run.folder


def as_of(world: World, text: str = "") -> Context:
    world.inventory = inventory(text) if text else world.inventory
    return world.build()


def plan(world: World, text: str = "", *words: str) -> list[Step]:
    made = as_of(world, text)
    made.run.close()
    return listed(operation.steps(made, remove_data=words))


def said(steps: list[Step], key: str) -> tuple[str, ...]:
    return next((step.will for step in steps if step.key == key), ())


def put(world: World, kind: str, name: str, space: str = "", *, version: str = "v1", **more: object) -> str:
    """An object that lies in the cluster, and its path; `more` are parts of its metadata."""
    meta = {"name": name, "uid": f"uid of {name}"} | ({"namespace": space} if space else {})
    item: Object = {"apiVersion": version, "kind": kind, "metadata": meta | more}
    path = world.api.path(item)
    world.api.objects[path] = item
    return path


def of(addon: str, *needs: str) -> dict[str, Any]:
    return {"labels": {LABEL: addon}, "annotations": {NEEDS: ",".join(needs)}}


def title(path: str) -> str:
    return path.rpartition("/")[2]


# --- an add-on that left


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


# --- a pool that was renamed


def serves(world: World, name: str, address: str) -> None:
    path = put(world, "Service", name, "shop")
    world.api.objects[path]["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}


def test_a_renamed_pool_goes_right_before_the_new_one_comes(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    serves(built, "web", "10.1.1.107")
    serves(built, "far", "192.0.2.7")
    serves(built, "six", "fd00::7")
    steps = plan(built, RENAMED)
    told = said(steps, "addon-metallb")
    assert told[:2] == (
        "remove IPAddressPool/metallb-system/default, which the inventory no longer names",
        "Service/shop/web loses 10.1.1.107 of pool default, until another pool has it, "
        "and may be given another",
    )
    assert "create IPAddressPool/metallb-system/front" in told
    assert "remove-metallb" not in {step.key for step in steps}
    order: list[str] = []
    apply, delete = built.api.apply, built.api.delete

    def overlapping(item: Object, *, dry_run: bool = False, manager: str = FIELD_MANAGER) -> Object:
        if item["kind"] == "IPAddressPool" and not dry_run:
            order.append(f"apply {item['metadata']['name']}")
            others = [path for path in built.api.objects if path.startswith(POOLS)]
            if any(title(path) != item["metadata"]["name"] for path in others):
                raise ApiError("PATCH pool", 400, "CIDR in pool front overlaps with already defined CIDR")
        return apply(item, dry_run=dry_run, manager=manager)

    def noted(path: str, options: Object | None = None) -> bool:
        order.append(f"delete {title(path)}")
        return delete(path, options)

    monkeypatch.setattr(built.api, "apply", overlapping)
    monkeypatch.setattr(built.api, "delete", noted)
    folder = run(built)
    assert order == ["delete default", "apply front"]
    assert (folder / "removed" / "IPAddressPool.metallb-system.default.yaml").exists()
    assert not something_to_do(plan(built))


def test_an_address_that_no_pool_of_the_inventory_has_is_told_as_lost(built: World) -> None:
    serves(built, "web", "10.1.1.107")
    other = RENAMED.replace("10.1.1.100-10.1.1.150", "10.1.1.100-10.1.1.106")
    told = said(plan(built, other), "addon-metallb")
    assert "Service/shop/web loses 10.1.1.107 of pool default, which no pool of the inventory has" in told


def test_a_pool_that_left_goes_though_no_other_object_differs(built: World) -> None:
    path = put(built, "IPAddressPool", "old", "metallb-system", version="metallb.io/v1beta1", **of("metallb"))
    [step] = [step for step in plan(built) if step.will]
    assert step.will == ("remove IPAddressPool/metallb-system/old, which the inventory no longer names",)
    run(built)
    assert built.api.deleted == [path]


# --- data


def test_data_are_not_removed_without_a_word_and_nothing_is_changed(built: World) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    built.api.objects.pop(SPEAKER)
    for refused in (plan, run):
        with pytest.raises(PreflightError) as error:
            refused(built, WITHOUT_INGRESS, "another")
        assert error.value.exit_code == 3
        assert "traefik: Namespace/traefik: holds PersistentVolumeClaim/traefik/mine" in error.value.message
        assert "invoke build --remove-data traefik" in error.value.next_step
    assert built.api.deleted == built.api.applied == []


def test_the_word_is_told_in_the_plan_and_lets_the_data_go(built: World) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    told = said(plan(built, WITHOUT_INGRESS, "traefik"), "remove-traefik")
    loss = "Namespace/traefik: holds PersistentVolumeClaim/traefik/mine, which is not ours"
    assert told[-1] == f"{loss}: goes as well, as --remove-data says"
    run(built, "", "traefik")
    assert "/api/v1/namespaces/traefik" not in built.api.objects


def test_a_word_that_nothing_needs_is_no_error(built: World) -> None:
    assert not something_to_do(plan(built, "", "traefik"))


def test_data_that_came_after_the_plan_keep_what_they_are_in(built: World) -> None:
    made = as_of(built, WITHOUT_INGRESS)
    steps = {step.key: step for step in listed(operation.steps(made))}
    put(built, "ConfigMap", "mine", "traefik")
    with pytest.raises(StepsFailedError, match="ConfigMap/traefik/mine, which is not ours; it was not there"):
        made.engine.execute(iter([[steps["api"], steps["remove-traefik"]]]))
    made.run.close()
    assert built.api.deleted == []


def test_what_came_after_the_plan_is_not_removed(built: World) -> None:
    made = as_of(built, WITHOUT_INGRESS)
    steps = {step.key: step for step in listed(operation.steps(made))}
    new = put(built, "ConfigMap", "new", "elsewhere", managedFields=[OURS], **of("traefik"))
    made.engine.execute(iter([[steps["api"], steps["remove-traefik"]]]))
    made.run.close()
    assert new in built.api.objects


# --- nobody can tell


def test_a_cluster_that_cannot_be_looked_at_is_a_step_that_says_why_and_removes_nothing(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = DeadlineError("the kinds of the API", 20, "metrics.k8s.io/v1beta1 does not answer")

    def stale(_: Context) -> removing.Left:
        raise silent

    monkeypatch.setattr(removing, "look", stale)
    [step] = [step for step in plan(built, WITHOUT_INGRESS) if step.unknown]
    assert (step.key, step.unknown, step.will) == ("remove", silent, ())
    with pytest.raises(StepsFailedError, match=r"metrics\.k8s\.io/v1beta1 does not answer"):
        run(built)
    assert built.api.deleted == []


def test_an_api_that_is_away_is_looked_at_when_the_hosts_are_in_order(
    built: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    first = removing.early

    def away(context: Context) -> removing.Left | None:
        def gone() -> bool:
            raise Unavailable("API: connection refused")

        with monkeypatch.context() as patched:
            patched.setattr(built.api, "ready", gone)
            return first(context)

    monkeypatch.setattr(removing, "early", away)
    with pytest.raises(PreflightError, match="data would go"):
        run(built, WITHOUT_INGRESS)
    run(built, "", "traefik")
    assert [path for path in built.api.objects if "traefik" in path and "claims" not in path] == []


def test_a_lab_without_a_cluster_has_nothing_left(world: World) -> None:
    assert not any(step.key.startswith("remove") for step in plan(world))
