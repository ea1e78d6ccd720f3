"""What left the inventory as steps: it is removed last, dependants first, and data not without a word."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from rich.markup import escape

from lab.addons import AddOn, addons, selected
from lab.cluster import data, discovery, owned
from lab.cluster.api import patiently
from lab.cluster.apply import ObjectChange
from lab.cluster.data import Loss
from lab.cluster.discovery import Item
from lab.cluster.removal import remove, stages
from lab.errors import FailedError, InputError, PlumblineError, PreflightError
from lab.parts import part
from lab.render.addons import WEBHOOKS
from lab.steps.context import Context
from lab.steps.engine import Step
from lab.steps.evidence import keep, was_removed

WEBHOOKS_STEP = "remove-webhooks"
CONSEQUENCES = "removal.py"
"""File of an add-on's folder: `consequences(inventory, api, going)` are sentences about what others lose."""


CHANGES = "changing.py"
"""The same for objects that are changed: `consequences(inventory, api, changing)`, given their titles."""


@dataclass(frozen=True)
class Left:
    """One look at the cluster: all living objects, and those that are ours and not in the inventory."""

    items: tuple[Item, ...]
    over: Mapping[Item, str]
    """With the name of their add-on."""
    losses: tuple[Loss, ...]

    def of(self, addon: str) -> list[Item]:
        """What is left of one add-on."""
        return [item for item, name in self.over.items() if name == addon]


NOTHING = Left((), {}, ())


def look(context: Context) -> Left:
    """Everything that left the inventory, and what would be lost with it. Changes nothing.

    Raises `FailedError` or `DeadlineError` when one kind of object could not be looked at.
    """
    items = discovery.living(context.api)
    over = owned.left_over(items, owned.named(context.addon_objects, context.lab.inventory))
    return Left(items, over, tuple(data.losses(context.api, over, items)))


def late(context: Context, compared: Mapping[str, object]) -> Left | PlumblineError:
    """The same when hosts are in order, or why nobody can tell: what kept add-ons from being `compared`."""
    first = next(iter(compared.values()))
    if isinstance(first, PlumblineError) and all(told is first for told in compared.values()):
        return first
    try:
        return look(context)
    except PlumblineError as error:
        return error


def guard(context: Context, left: Left | PlumblineError, agreed: Collection[str]) -> None:
    """Raise `PreflightError` for data that would be lost, unless the add-on is one of `agreed`.

    Raises `InputError` for a word of `agreed` that names no add-on; says of one that changes nothing that it
    does not. What nobody could look at is not removed, so there is nothing to guard.
    """
    if isinstance(left, PlumblineError):
        return
    losing = {left.over[loss.item] for loss in left.losses}
    refuse_unknown(context, left, agreed)
    for name in dict.fromkeys(agreed):
        if name not in losing:
            context.console.say(
                escape(f"nothing of {name} would be lost: --remove-data {name} changes nothing")
            )
    lost: dict[str, list[Loss]] = {}
    for loss in left.losses:
        name = left.over[loss.item]
        if name not in agreed:
            lost.setdefault(name, []).append(loss)
    if not lost:
        return
    begun = {loss.begun for found in lost.values() for loss in found}
    more = "more " if True in begun else ""
    lines = "".join(
        f"\n  {name}: {loss}{'; its removal has begun' if loss.begun else ''}"
        for name, found in lost.items()
        for loss in found
    )
    words = " ".join(f"--remove-data {name}" for name in lost)
    raise PreflightError(
        f"{context.lab.inventory.lab}: data would go with what left the inventory; nothing {more}is removed:"
        f"{lines}",
        next_step=f"{_WAYS[frozenset(begun)]}; to lose them: invoke build {words}",
    )


_WAYS = {
    frozenset({False}): "write it back into the file, or move the data away",
    frozenset({True}): "copy the data while they are there: nobody can take a removal back that has begun",
    frozenset({False, True}): "write it back into the file, or move the data away; of what is going already "
    "copy the data while they are there",
}
"""What keeps data, by whether the removal of what they go with has begun."""


def refuse_unknown(context: Context, left: Left, agreed: Collection[str]) -> None:
    """Raise `InputError` for a word that is no add-on of this checkout, of what is left, or of what earlier
    runs have removed: a removal that was interrupted behind its last object is repeated as it was typed."""
    names = sorted({*(addon.name for addon in addons()), *left.over.values()})
    for word in agreed:
        if word not in names and not was_removed(context, word):
            near = " or ".join(f"--remove-data {name}" for name in get_close_matches(word, names, n=3))
            raise InputError(
                f"--remove-data {word}: no add-on has this name; there are: {', '.join(names)}",
                next_step=f"{near or 'leave it out'}; invoke plan names each add-on whose data would go",
            )


def goes_first(context: Context, left: Left, addon: AddOn) -> list[Item]:
    """What is left of an add-on and in the way of what is applied (`removed_first`)."""
    found = [item for item in left.of(addon.name) if item.key.kind in addon.removed_first]
    # manifests are artefacts, which the plan of a new lab does without
    applied = {item["kind"] for item in context.addon_objects[addon]} if found else set()
    return [item for item in found if item.key.kind in applied]


def sentences(context: Context, going: Iterable[Item]) -> tuple[str, ...]:
    """What a plan says of objects that are removed, and of what others lose by it."""
    items = tuple(going)
    said = [
        f"remove {item.key}, which the inventory no longer names{' and whose removal has begun' * item.begun}"
        for item in items
    ]
    for addon in addons() if items else ():
        if addon.has(CONSEQUENCES):
            said += patiently(f"who uses what goes of {addon.name}", partial(_lost, context, addon, items))
    return tuple(said)


def _lost(context: Context, addon: AddOn, items: Sequence[Item]) -> list[str]:
    told = part(f"{addon.module}.removal", "consequences")
    return list(told(context.lab.inventory, context.api, items))


def by_change(context: Context, addon: AddOn, changes: Iterable[ObjectChange]) -> tuple[str, ...]:
    """What a plan says that others lose by objects of an add-on that are changed."""
    changing = {change.name for change in changes if change.before}
    if not (changing and addon.has(CHANGES)):
        return ()
    told = part(f"{addon.module}.changing", "consequences")
    return tuple(
        patiently(
            f"who uses what changes of {addon.name}",
            lambda: list(told(context.lab.inventory, context.api, changing)),
        )
    )


def webhooks(context: Context, left: Left) -> list[Step]:
    """Webhooks go before anything is applied: one whose server is gone would refuse whatever it judges."""
    going = [item for item in left.over if item.key.kind in WEBHOOKS]
    return [_step(context, WEBHOOKS_STEP, "webhooks", left, going, ())] if going else []


def removing(context: Context, left: Left | PlumblineError, applied: Iterable[Step]) -> list[Step]:
    """A step for each add-on of which something is left: after all that is applied, dependants first."""
    needs = {"api", *(step.key for step in applied)}
    if isinstance(left, PlumblineError):
        return [_unknown(left, needs)]
    first = {item for addon in selected(context.lab.inventory) for item in goes_first(context, left, addon)}
    groups: dict[str, list[Item]] = {}
    for item, name in left.over.items():
        if item not in first and item.key.kind not in WEBHOOKS:
            groups.setdefault(name, []).append(item)
    dependants = _dependants(context, left)
    # who needs one needs all that it needs, so this is the order in which they go
    names = sorted(groups, key=lambda name: len(dependants[name] & groups.keys()))
    return [
        _step(
            context,
            f"remove-{name}",
            name,
            left,
            groups[name],
            {*needs, *(f"remove-{other}" for other in dependants[name] if other in groups)},
        )
        for name in names
    ]


def _step(
    context: Context, key: str, name: str, left: Left, going: Sequence[Item], needs: Iterable[str]
) -> Step:
    ordered = [item for stage in stages(going, left.items) for item in stage]
    lost = [f"{loss}: goes as well, as --remove-data says" for loss in left.losses if loss.item in going]
    return Step(
        key,
        "",
        f"what is left of {name}",
        frozenset({"api", *needs}),
        partial(_removed, context, key, left, going),
        will=(*sentences(context, ordered), *lost),
    )


def _unknown(error: PlumblineError, needs: Iterable[str]) -> Step:
    """Nothing is removed that no plan has named."""

    def run() -> tuple[bool, str]:
        raise error

    return Step("remove", "", "what left the inventory", frozenset(needs), run, unknown=error)


def _removed(context: Context, key: str, left: Left, going: Sequence[Item]) -> tuple[bool, str]:
    """Remove what was planned, if nothing came since that people would lose."""
    now = look(context)
    planned, known = {item.key: item.uid for item in going}, {str(loss) for loss in left.losses}
    still = [item for item in now.over if planned.get(item.key) == item.uid]
    new = [str(loss) for loss in now.losses if loss.item in still and str(loss) not in known]
    if new:
        raise FailedError(
            f"{'; '.join(new)}; it was not there when this was planned, and nothing is removed",
            next_step="invoke plan, then invoke build again: they decide by what they find",
        )
    for loss in now.losses:
        if loss.lost and loss.item in still:
            keep(context, loss.lost)
    take_away(context, key, still, now.items)
    return bool(still), f"{len(still)} objects removed"


def take_away(context: Context, key: str, going: Sequence[Item], items: Iterable[Item] = ()) -> None:
    """Keep objects as evidence, secrets excepted, and remove them; waits until they are gone.

    `items` are all living objects, by whose definitions the order is told.
    """
    for item in going:
        keep(context, item)
    remove(context.api, going, items, context.noting(key))


def _dependants(context: Context, left: Left) -> dict[str, set[str]]:
    """The add-ons that need one, by its name: of those of which something is left."""
    known = {addon.name: set(addon.needs) for addon in selected(context.lab.inventory)}
    names = set(left.over.values())
    needs = {name: known.get(name) or set(owned.needs_of(left.of(name))) for name in {*known, *names}}
    reach = {name: _reached(needs, name) for name in names}
    # needs that a hand has turned into a circle are no order
    found = {
        name: {other for other in names if name in reach[other] and other not in reach[name]}
        for name in names
    }
    # the rights of any of them may be among what nobody can tell the add-on of
    return found | {owned.OLDER: names - {owned.OLDER}}


def _reached(needs: Mapping[str, Collection[str]], name: str) -> set[str]:
    found: set[str] = set()
    waiting = list(needs.get(name, ()))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += needs.get(other, ())
    return found
