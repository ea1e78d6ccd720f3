"""Facts of the hosts: gathered first, changing nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from rich.markup import escape

from lab.errors import DeadlineError, FailedError, PlumblineError
from lab.hosts import rotation
from lab.hosts.converge import SECONDS, HostFacts, look
from lab.hosts.settled import DOCUMENTS, asked
from lab.machines import State
from lab.steps.context import Context, LabFacts
from lab.steps.machines import booted, outline

PLAN_SECONDS = 20.0
"""What one host may take to answer while a plan is made: a good one takes about one second."""


def gather(context: Context, names: tuple[str, ...]) -> LabFacts:
    """Facts of the named hosts; a host that is still booting, after a killed build say, is waited for.

    Masters tell of their control plane as well, and the first that runs what the API holds (`settled.told`).

    A plan waits for nobody: who does not answer, or is still booting, is `silent` there with the reason. Else
    raises `FailedError` or `DeadlineError` for a machine that runs and cannot be looked at: deciding without
    knowing it could found a second cluster beside a live one.
    """
    lab = context.lab
    states = {name: lab.provider.state(name) for name in names}
    running = [name for name in names if states[name] is State.RUNNING]
    exists = [name for name in names if states[name] in (State.RUNNING, State.OFF, State.PAUSED)]
    changes = {name: lab.provider.changes(outline(lab.inventory, name)) for name in exists}
    if not running:
        return LabFacts(states, {}, changes)
    lab.provider.enter()
    masters = [name for name in running if name in lab.inventory.masters]
    own = {name: asked(DOCUMENTS if name == masters[0] else ()) for name in masters}
    with ThreadPoolExecutor(len(running) + 1) as pool:
        drained = pool.submit(_drained, context, running)
        looks = pool.map(lambda name: _one(context, name, own.get(name)), running)
        answers = dict(zip(running, looks, strict=True))
    seen = {name: answer for name, answer in answers.items() if isinstance(answer, HostFacts)}
    silent = {name: answer for name, answer in answers.items() if not isinstance(answer, HostFacts)}
    return LabFacts(states, seen, changes, drained.result(), silent)


def tell_remarks(context: Context, facts: LabFacts) -> None:
    """Say what the provider remarks of machines that exist; none of it is anything that a build does."""
    lab = context.lab
    for name, state in facts.states.items():
        if state in (State.RUNNING, State.OFF, State.PAUSED):
            for remark in lab.provider.remarks(outline(lab.inventory, name)):
                context.console.say(escape(f"warning: {remark}"))


def _one(context: Context, name: str, own: Mapping[str, Any] | None) -> HostFacts | PlumblineError:
    limit = PLAN_SECONDS if context.planning else SECONDS
    again = partial(look, context.lab.ssh, context.bundles[name], control_plane=own)
    try:
        with context.console.working(f"facts:{name}", f"{name}: what it is"):
            found = again(seconds=limit)
        if not found.booting:
            return found
        state: PlumblineError = FailedError(
            f"{name}: is still booting: what is not there yet is no drift",
            next_step="invoke plan again in a minute; invoke build waits for it",
        )
    except (FailedError, DeadlineError) as error:
        state = error
    if context.planning:
        return state
    context.console.say(f"is waited for: {escape(state.message.splitlines()[0])}", name)
    booted(context, name)
    return again()


def _drained(context: Context, running: Iterable[str]) -> frozenset[str]:
    """Servers that are left drained; none where HAProxy does not answer: it starts with all of them."""
    balancer = context.lab.inventory.balancer
    if balancer not in running:
        return frozenset()
    try:
        return rotation.drained(context.lab.ssh, balancer)
    except (FailedError, DeadlineError):
        return frozenset()
