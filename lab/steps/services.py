"""The cluster's own services: add-ons applied as soon as an API server answers, then waited for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from lab.addons import AddOn
from lab.addons.model import Certificate
from lab.cluster import webhooks
from lab.cluster.api import ApiError, Unavailable, patiently
from lab.cluster.apply import ObjectChange, apply, changed, ensure_secret, looked_at
from lab.cluster.certificates import certificate_change, ensure_certificate
from lab.cluster.discovery import Item
from lab.cluster.kubelets import CONFIGMAP, configuration
from lab.cluster.outside_secrets import ensure_outside, outside_change
from lab.cluster.passwords import ensure_password, password_changes
from lab.cluster.stateful import replace_pods, replacements
from lab.cluster.webhook_certificates import ensure_webhook_certificate
from lab.cluster.workloads import KINDS, named, nodes_ready, ready, stands
from lab.errors import FailedError
from lab.inventory.addon_sections import outside
from lab.inventory.outside import OutsideSecret
from lab.objects import Object, title
from lab.render.components import kubelet_settings
from lab.steps.context import Context
from lab.steps.looks import Looks
from lab.steps.removing import take_away
from lab.waits import NotYet, wait_for

READY_SECONDS = 300
MOST_TOLD = 3
"""Objects of an add-on that a wait for it tells by their state; of others how many there are."""
SIDE_BY_SIDE = 2
"""Objects of an add-on that are compared at the same time, as add-ons are: each needs its own connection."""


def kubelet_changes(context: Context) -> list[ObjectChange]:
    """What the kubelets' settings would change in the cluster; changes nothing."""
    wanted = kubelet_configuration(context)
    change = changed(context.api, wanted) if wanted else None
    return [change] if change else []


def addon_changes(context: Context, addon: AddOn) -> list[ObjectChange]:
    """What applying an add-on would change, in the order in which it is applied; changes nothing.

    Raises `PartlySeenError` with what was found when something could not be looked at.
    """
    items, lab, looks = context.addon_objects[addon], context.lab, Looks()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        told = list(pool.map(partial(_object_changes, context, looks), items))
    told += [looks.at(partial(_certificate, context, wanted)) for wanted in addon.certificates]
    told += [looks.at(partial(_outside, context, held)) for held in outside(lab.inventory, addon)]
    told += [
        looks.at(partial(password_changes, context.api, secret, lab.passwords))
        for secret in addon.secrets
        if secret.kept
    ]
    found = [change for changes in told for change in changes]
    replaced = [looks.at(partial(replacements, context.api, item, found)) for item in items]
    found += [change for changes in replaced for change in changes]
    looks.judge(found)
    return found


def _object_changes(context: Context, looks: Looks, item: Object) -> list[ObjectChange]:
    return looks.at(lambda: [_object_change(context, item)], item)


def _certificate(context: Context, wanted: Certificate) -> list[ObjectChange | None]:
    return [certificate_change(context.api, wanted, context.lab.authority)]


def _outside(context: Context, held: OutsideSecret) -> list[ObjectChange | None]:
    return [outside_change(context.api, held, context.lab.root)]


def _object_change(context: Context, item: Object) -> ObjectChange | None:
    change, living = looked_at(context.api, item)
    # a plan waits for nothing, so it asks no webhook
    if living and not (context.planning and webhooks.clients(living)) and stands(context.api, living):
        context.found_ready.add(title(living))
    return change


def kubelet_configuration(context: Context) -> Object | None:
    """The ConfigMap that nodes take their kubelet's settings from when they join, with ours in it.

    None when ours are in it already, or there is none yet.
    """
    settings = kubelet_settings(
        context.lab.inventory, context.lab.provider.traits_of(context.lab.inventory.masters[0])
    )
    live = patiently("the kubelets' settings", lambda: context.api.get(CONFIGMAP))
    return configuration(live, settings) if live else None


def apply_kubelet_configuration(context: Context) -> tuple[bool, str]:
    """Bring that ConfigMap up to date; kubelets that run have a file of their own, which hosts converge."""
    wanted = kubelet_configuration(context)
    return wanted is not None and apply(context.api, wanted, context.noting("addon-kubelet")), ""


def silent(context: Context, item: Object) -> bool:
    """Whether a webhook of a living configuration does not answer, or nobody can tell."""
    try:
        living = context.api.get(context.api.path(item)) or {}
        outside_of_it = [one for one in webhooks.clients(living).values() if not one.get("service")]
        return bool(outside_of_it or webhooks.unanswered(context.api, living))
    except FailedError:
        return True


def apply_webhooks(context: Context, key: str, items: Sequence[Object]) -> tuple[bool, str]:
    """Apply webhook configurations, which no webhook judges; whether something was changed, and how many."""
    count = sum(apply(context.api, item, context.noting(key)) for item in items)
    return count > 0, f"{count} objects" if count else ""


def apply_addon(context: Context, addon: AddOn, old: Sequence[Item] = ()) -> tuple[bool, str]:
    """Apply an add-on's objects; whether something was changed, and how many objects.

    `old` are objects that left the inventory: each goes right before a new one of its kind is applied.
    """
    items, waiting = context.addon_objects[addon], list(old)
    note = context.noting(f"addon-{addon.name}")
    count = 0
    namespaces = [item for item in items if item["kind"] == "Namespace"]
    count += sum(apply(context.api, item, note) for item in namespaces)
    for secret in addon.secrets:
        ensure: Callable[[], int] = partial(ensure_secret, context.api, addon, secret)
        if secret.kept:
            ensure = partial(ensure_password, context.api, addon, secret, context.lab.passwords)
        count += patiently(f"secret {secret.name}", ensure)
    for wanted in addon.certificates:
        make = partial(ensure_certificate, context.api, addon, wanted, context.lab.authority)
        count += patiently(f"certificate {wanted.name}", make)
    for first in addon.webhook_certificates:
        make = partial(ensure_webhook_certificate, context.api, first)
        count += patiently(f"certificate {first.name}", make)
    for held in outside(context.lab.inventory, addon):
        make = partial(ensure_outside, context.api, addon, held, context.lab.root)
        count += patiently(f"secret {held.name}", make)
    for item in [item for item in items if item not in namespaces]:
        gone = [one for one in waiting if one.key.kind == item["kind"]]
        if gone:
            take_away(context, f"addon-{addon.name}", gone)
            waiting = [one for one in waiting if one not in gone]
            count += len(gone)
        count += apply(context.api, item, note)
        count += replace_pods(context.api, item, note)
    return count > 0, f"{count} objects" if count else ""


def nodes(context: Context) -> tuple[bool, str]:
    """Wait until every node of the inventory is Ready, but for those of which a step has failed."""
    failed = {key.partition(":")[2] for key in context.engine.lost}
    wanted = [name for name in context.lab.inventory.nodes if name not in failed]
    _wait(context, "all nodes Ready", "nodes", lambda: nodes_ready(context.api, wanted))
    return False, f"{len(wanted)} nodes"


def addon_ready(context: Context, addon: AddOn) -> tuple[bool, str]:
    """Wait for what an add-on names, and for its objects that have a state, each by the rule of its kind:
    workloads run their newest version everywhere, jobs are done, definitions are served, webhooks answer.

    All of them are looked at each time, so a job that has given up ends the wait at once whatever else is
    not ready. What was ready when it was compared is not asked again where nothing has been changed since.
    """
    known = () if context.engine.changed else context.found_ready
    waited = {title(item): item for item in context.addon_objects[addon] if item["kind"] in KINDS}
    waited |= {title(item): item for item in map(named, addon.ready)}
    waited = {name: item for name, item in waited.items() if name not in known}

    def look() -> None:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            states = dict(zip(waited, pool.map(partial(_state, context), waited.values()), strict=True))
        for name, state in states.items():
            if not state:
                del waited[name]  # what was ready once is waited for no more
        if waited:
            said = [states[name] for name in waited]
            more = [f"{len(said) - MOST_TOLD} more"] if len(said) > MOST_TOLD else []
            raise NotYet("; ".join(said[:MOST_TOLD] + more))

    _wait(context, f"{addon.name} ready", f"ready-{addon.name}", look)
    return False, ""


def _state(context: Context, item: Object) -> str:
    """What an object lacks to be ready, "" when it is."""
    try:
        ready(context.api, item)
    except NotYet as state:
        return str(state)
    return ""


def _wait(context: Context, subject: str, key: str, look: Callable[[], None]) -> None:
    note = context.noting(key)

    def probe() -> None:
        try:
            look()
        except (ApiError, Unavailable) as error:
            note(error.message)
            raise NotYet(error.message) from error
        except NotYet as state:
            note(str(state))
            raise

    wait_for(subject, probe, seconds=READY_SECONDS, interval=0.5, next_step="invoke status; invoke logs")
