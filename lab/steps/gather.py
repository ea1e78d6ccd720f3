"""Facts of the hosts: gathered first, changing nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lab.errors import DeadlineError, FailedError
from lab.hosts.converge import HostFacts, look
from lab.machines import State
from lab.steps.context import Build, Facts
from lab.steps.machines import booted, outline


def gather(build: Build, names: tuple[str, ...]) -> Facts:
    """Facts of the named hosts; a host that is still booting, after a killed build say, is waited for.

    Raises `FailedError` or `DeadlineError` for a machine that runs and cannot be looked at: deciding without
    knowing it could found a second cluster beside a live one.
    """
    lab = build.lab
    states = {name: lab.provider.state(name) for name in names}
    running = [name for name in names if states[name] is State.RUNNING]
    exists = [name for name in names if states[name] in (State.RUNNING, State.OFF, State.PAUSED)]
    changes = {name: lab.provider.changes(outline(lab.inventory, name)) for name in exists}
    if not running:
        return Facts(states, {}, changes)
    lab.provider.enter()
    with ThreadPoolExecutor(len(running)) as pool:
        seen = pool.map(lambda name: _one(build, name), running)
        return Facts(states, dict(zip(running, seen, strict=True)), changes)


def _one(build: Build, name: str) -> HostFacts:
    wanted = build.bundles[name]
    try:
        found = look(build.lab.ssh, wanted)
        if not found.booting:
            return found
    except (FailedError, DeadlineError) as error:
        build.console.note(f"boot:{name}", error.message)
    booted(build, name)
    return look(build.lab.ssh, wanted)
