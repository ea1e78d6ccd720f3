"""Hosts: what differs from their bundle is written, and its on-change action runs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from lab.hosts.changes import HostChange
from lab.hosts.converge import apply, compare, look
from lab.steps.context import Context
from lab.steps.engine import Step


def converging(
    context: Context,
    name: str,
    changes: Iterable[HostChange] = (),
    needs: Iterable[str] = (),
    *,
    new: bool = False,
) -> Step:
    """A host is brought to its bundle; `changes` are what differs now.

    A new machine is as its first boot makes it. What that does not bring comes here: programs and images, and
    keys of its own.
    """
    told = tuple(changes)
    will = tuple(change.sentence for change in told)
    if new and not context.lab.provider.traits_of(name).layered:
        will = ("bring its programs and images",)
    if new and context.bundles[name].certificates:
        will = (*will, "make its keys and certificates")
    diffs = tuple(change.diff for change in told if change.diff)
    run = partial(converge, context, name)
    return Step("converge", name, "converge", frozenset(needs), run, will=will, diffs=diffs)


def converge(context: Context, name: str) -> tuple[bool, str]:
    """Bring a running host to its bundle; whether something was changed, and what."""
    changes = compare(context.bundles[name], look(context.lab.ssh, context.bundles[name]))
    if not changes:
        return False, ""
    context.run.keep(
        f"changes/{name}.txt", "\n".join(f"{change.sentence}\n{change.diff}" for change in changes)
    )
    for change in changes:
        context.console.note(f"converge:{name}", change.sentence)
    apply(context.lab.ssh, name, changes)
    return True, "; ".join(change.sentence for change in changes)
