"""Add-ons and the kubelets' settings as steps: applied where they differ, waited for in any case."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from lab.addons import selected
from lab.cluster import webhooks
from lab.cluster.apply import COMPARE_SECONDS, ObjectChange
from lab.cluster.workloads import WEBHOOKS
from lab.errors import FailedError, PlumblineError
from lab.objects import Object, title
from lab.steps import removing, services
from lab.steps.context import Context
from lab.steps.control_plane import api_answers
from lab.steps.engine import Step
from lab.steps.looks import PartlySeenError
from lab.steps.removing import NOTHING, Left

KUBELET = "addon-kubelet"
"""Key of the step that brings the kubelets' settings into the cluster, where nodes that join take them."""

RESTORE = "restore-webhooks"
"""Key of the step that puts webhook configurations back which may refuse whatever is applied."""

Compared = Mapping[str, Sequence[ObjectChange] | PlumblineError]
"""What applying would change, by name of the add-on (or `kubelet`); or why nobody can tell, or not of all."""


def compared(context: Context) -> Compared:
    """Compare what the cluster has with what it should have, all at the same time; changes nothing."""
    asked = {"kubelet": partial(services.kubelet_changes, context)}
    asked |= {addon.name: partial(services.addon_changes, context, addon) for addon in context.addon_objects}
    if "api" in context.engine.lost:
        return dict.fromkeys(asked, FailedError("the API was not reached"))
    try:
        api_answers(context, COMPARE_SECONDS)
    except PlumblineError as error:
        return dict.fromkeys(asked, error)
    with ThreadPoolExecutor(len(asked)) as pool:
        looks = {name: pool.submit(look) for name, look in asked.items()}
    found: dict[str, Sequence[ObjectChange] | PlumblineError] = {}
    for name, answer in looks.items():
        try:
            found[name] = answer.result()
        except PlumblineError as error:
            found[name] = error
    return found


def applying(
    context: Context, seen: Compared | None, left: Left = NOTHING, after: Iterable[Step] = ()
) -> list[Step]:
    """A step for the kubelets' settings and for each add-on that differs, or of which nobody can tell.

    An add-on needs the steps of those that it names in `needs`; what needs nothing of each other runs side by
    side, and one that fails keeps only those back that need it.

    `seen` is None for a cluster that is yet to be founded: it is born with the settings, and without add-ons.
    Of what is `left` of an add-on, that goes here which is in the way of its new objects.

    Webhook configurations that differ and may refuse the rest are a step before all others, whatever their
    add-ons need: no webhook judges them.
    """
    steps: list[Step] = []
    ended = frozenset(step.key for step in after)
    restored = _refusing(context, seen) if seen else {}
    if restored:
        items = [item for item, _ in restored.values()]
        run = partial(services.apply_webhooks, context, RESTORE, items)
        changes = [change for _, change in restored.values()]
        steps.append(replace(_step(RESTORE, "webhook configurations", run, (), changes), after=ended))
        ended |= {RESTORE}
    if seen and seen["kubelet"]:
        run = partial(services.apply_kubelet_configuration, context)
        steps.append(replace(_step(KUBELET, "kubelet settings", run, (), seen["kubelet"]), after=ended))
    for addon in selected(context.lab.inventory):
        there = _besides(seen[addon.name], restored) if seen else None
        old = removing.goes_first(context, left, addon)
        if (there is None and addon.in_cluster) or there or old:
            run = partial(services.apply_addon, context, addon, old)
            # what differs of those it needs comes first; what is in order has no step
            needs = {f"addon-{name}" for name in addon.needs} & {step.key for step in steps}
            step = _step(f"addon-{addon.name}", f"add-on {addon.name}", run, needs, there)
            will = (*removing.sentences(context, old), *step.will)
            will += removing.by_change(context, addon, _changes(there))
            steps.append(replace(step, after=ended, will=will))
    return steps


def _refusing(context: Context, seen: Compared) -> dict[str, tuple[Object, ObjectChange]]:
    """Webhook configurations of ours that exist and differ, by title: all of them when a webhook has refused
    to be compared with, else those with a webhook that does not answer.

    Others stay last in their add-on: a newer version of it may name webhooks that its old pods do not serve.
    """
    refused = any(
        isinstance(told, PlumblineError) and webhooks.not_yet(told.message) for told in seen.values()
    )
    found: dict[str, tuple[Object, ObjectChange]] = {}
    for addon in selected(context.lab.inventory):
        changes = {change.name: change for change in _changes(seen[addon.name]) if change.before}
        for item in context.addon_objects[addon] if changes else ():
            change = changes.get(title(item))
            if item["kind"] in WEBHOOKS and change and (refused or services.silent(context, item)):
                found[change.name] = (item, change)
    return found


def _besides(
    seen: Sequence[ObjectChange] | PlumblineError, restored: Collection[str]
) -> Sequence[ObjectChange] | PlumblineError:
    """What was found of an add-on, without the objects that an earlier step applies."""
    if isinstance(seen, PartlySeenError):
        return seen.besides(restored)
    if isinstance(seen, PlumblineError):
        return seen
    return [change for change in seen if change.name not in restored]


def _step(
    key: str,
    title: str,
    run: Callable[[], tuple[bool, str]],
    needs: Iterable[str],
    seen: Sequence[ObjectChange] | PlumblineError | None,
) -> Step:
    step = Step(key, "", title, frozenset({"api", *needs}), run)
    if seen is None:
        return replace(step, will=(f"apply {title}",))
    changes = _changes(seen)
    return replace(
        step,
        will=tuple(item.sentence for item in changes),
        diffs=tuple(item.diff for item in changes if item.before),
        unknown=seen if isinstance(seen, PlumblineError) else None,
    )


def _changes(seen: Sequence[ObjectChange] | PlumblineError | None) -> Sequence[ObjectChange]:
    """What was found to change, also beside something of which nobody can tell."""
    if isinstance(seen, PartlySeenError):
        return seen.changes
    return () if seen is None or isinstance(seen, PlumblineError) else seen


def waiting(context: Context, before: Iterable[Step]) -> list[Step]:
    """Wait for the nodes when all of `before` has ended, well or not, then for each add-on."""
    ended = frozenset(step.key for step in before)
    run = partial(services.nodes, context)
    steps = [Step("nodes", "", "all nodes Ready", frozenset({"api"}), run, ended)]
    for addon in (item for item in selected(context.lab.inventory) if item.in_cluster):
        needs = {"nodes"} | ({f"addon-{addon.name}"} & ended)
        run = partial(services.addon_ready, context, addon)
        steps.append(Step(f"ready-{addon.name}", "", f"{addon.name} ready", frozenset(needs), run))
    return steps
