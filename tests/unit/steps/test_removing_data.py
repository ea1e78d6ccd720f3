"""What is lost with a removal: addresses, data not without a word, nothing that no plan said."""

from __future__ import annotations

import pytest

from lab.cluster.api import FIELD_MANAGER, ApiError, Unavailable
from lab.errors import DeadlineError, InputError, PreflightError
from lab.objects import Object
from lab.operations import build as operation
from lab.steps import removing
from lab.steps.addons import Compared
from lab.steps.context import Context
from lab.steps.engine import StepsFailedError, listed, something_to_do
from tests.fake_api import OURS
from tests.unit.steps.leftovers import (
    POOLS,
    RENAMED,
    SPEAKER,
    WITHOUT_INGRESS,
    as_of,
    of,
    plan,
    put,
    run,
    said,
    title,
)
from tests.world import World

pytestmark = pytest.mark.usefixtures("nothing_unplanned")


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
            refused(built, WITHOUT_INGRESS, "metallb")
        assert error.value.exit_code == 3
        assert "traefik: Namespace/traefik: holds PersistentVolumeClaim/traefik/mine" in error.value.message
        assert "invoke build --remove-data traefik" in error.value.next_step
    assert built.api.deleted == built.api.applied == []


def test_of_what_is_going_already_nothing_is_proposed_that_would_not_help(built: World) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    built.api.objects["/api/v1/namespaces/traefik"]["metadata"]["deletionTimestamp"] = "now"
    with pytest.raises(PreflightError) as error:
        plan(built, WITHOUT_INGRESS)
    assert "nothing more is removed:\n" in error.value.message
    assert "traefik/mine, which is not ours; its removal has begun" in error.value.message
    assert error.value.next_step == (
        "copy the data while they are there: nobody can take a removal back that has begun; "
        "to lose them: invoke build --remove-data traefik"
    )
    told = said(plan(built, WITHOUT_INGRESS, "traefik"), "remove-traefik")
    assert "remove Namespace/traefik, which the inventory no longer names and whose removal has begun" in told
    run(built, "", "traefik")
    assert "/api/v1/namespaces/traefik" not in built.api.objects


def test_what_is_going_already_is_told_apart_from_what_is_not(built: World) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    put(built, "PersistentVolumeClaim", "old", "metallb-system", deletionTimestamp="now", **of("metallb"))
    with pytest.raises(PreflightError) as error:
        plan(built, WITHOUT_INGRESS)
    assert "traefik/mine, which is not ours\n" in error.value.message
    assert "PersistentVolumeClaim/metallb-system/old: is data; its removal has begun" in error.value.message
    assert error.value.next_step.startswith("write it back into the file, or move the data away; of what is")


def test_the_word_is_told_in_the_plan_and_lets_the_data_go(built: World) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    put(built, "ConfigMap", "mine", "traefik")
    put(built, "Secret", "mine", "traefik")
    told = said(plan(built, WITHOUT_INGRESS, "traefik"), "remove-traefik")
    loss = "Namespace/traefik: holds PersistentVolumeClaim/traefik/mine, which is not ours"
    assert f"{loss}: goes as well, as --remove-data says" in told
    kept = run(built, "", "traefik") / "removed"
    assert "/api/v1/namespaces/traefik" not in built.api.objects
    assert (kept / "PersistentVolumeClaim.traefik.mine.yaml").exists()
    assert (kept / "ConfigMap.traefik.mine.yaml").exists()
    assert not (kept / "Secret.traefik.mine.yaml").exists()


def test_a_word_that_nothing_needs_is_no_error_and_is_told_once(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not something_to_do(plan(built, "", "traefik"))
    said = "nothing of traefik would be lost: --remove-data traefik changes nothing"
    assert capsys.readouterr().out.count(said) == 1


def test_a_word_that_lets_data_go_is_not_told_as_needless(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    plan(built, WITHOUT_INGRESS, "traefik")
    assert "changes nothing" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("word", "near"), [("trefik", "--remove-data traefik;"), ("nosuch", "leave it out;")]
)
def test_a_word_that_names_no_addon_is_refused_and_nothing_is_changed(
    built: World, word: str, near: str
) -> None:
    put(built, "PersistentVolumeClaim", "mine", "traefik")
    for refused in (plan, run):
        with pytest.raises(InputError) as error:
            refused(built, WITHOUT_INGRESS, word)
        assert error.value.exit_code == 2
        assert f"--remove-data {word}: no add-on has this name; there are: " in error.value.message
        assert "metallb, " in error.value.message
        assert error.value.next_step.startswith(near)
    assert built.api.deleted == built.api.applied == []


def test_a_word_that_names_no_addon_is_refused_where_there_is_no_cluster_yet(world: World) -> None:
    for refused in (plan, run):
        with pytest.raises(InputError, match="--remove-data nosuch: no add-on has this name"):
            refused(world, "", "nosuch")
    assert not world.provider.prepared


def test_an_addon_whose_folder_is_gone_is_known_by_what_is_left_of_it(built: World) -> None:
    put(built, "Namespace", "toy", **of("toy"))
    put(built, "PersistentVolumeClaim", "mine", "toy")
    assert said(plan(built, "", "toy"), "remove-toy")


def test_a_word_for_what_an_earlier_run_has_removed_is_no_error(
    built: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """As after a build that was killed behind the last object, whose add-on's folder is gone."""
    put(built, "Namespace", "toy", **of("toy"))
    put(built, "PersistentVolumeClaim", "mine", "toy")
    folder = run(built, "", "toy")
    assert "/api/v1/namespaces/toy" not in built.api.objects
    for number, torn in enumerate(("", "metadata: {labels: [", "metadata: {na")):
        (folder / "removed" / f"Torn.{number}.yaml").write_text(torn)
    for again in (plan, run):
        again(built, "", "toy")
        assert "nothing of toy would be lost: --remove-data toy changes nothing" in capsys.readouterr().out
        with pytest.raises(InputError, match="--remove-data mine: no add-on has this name"):
            again(built, "", "mine")


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
    first = operation.early

    def away(context: Context) -> tuple[removing.Left | None, Compared | None]:
        def gone() -> bool:
            raise Unavailable("API: connection refused")

        with monkeypatch.context() as patched:
            patched.setattr(built.api, "ready", gone)
            return first(context)

    monkeypatch.setattr(operation, "early", away)
    with pytest.raises(PreflightError, match="data would go"):
        run(built, WITHOUT_INGRESS)
    run(built, "", "traefik")
    assert [path for path in built.api.objects if "traefik" in path and "claims" not in path] == []


def test_a_lab_without_a_cluster_has_nothing_left(world: World) -> None:
    assert not any(step.key.startswith("remove") for step in plan(world))
