"""Machines: made, switched on, booted for the first time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from lab.artifacts.containerd_root import DATABASES
from lab.errors import DeadlineError, FailedError
from lab.inventory.models import Inventory
from lab.machines import Machine, Power, State, Volume
from lab.render.cloudinit import first_boot
from lab.ssh import shorten
from lab.steps.context import Context
from lab.steps.engine import Step
from lab.waits import NotYet, still, wait_for

RESULT, STATUS = "/run/cloud-init/result.json", "/run/cloud-init/status.json"
"""What cloud-init leaves at its end, and what it says of each stage while it runs."""
LOG = "/var/log/cloud-init.log"
NO_RESULT = '{"v1": {"errors": []}}'
BOOT_SECONDS = 240
"""A first boot took under 10 s when six machines shared two cores; a slow disk may need minutes."""

CONSOLE_LINES = 3

MADE = "make the machine and boot it for the first time"
AWAKENED = {State.OFF: "switch the machine on", State.PAUSED: "resume the machine"}
"""What is done to a machine that exists and does not run."""


def preparing(context: Context, states: Mapping[str, State]) -> Step:
    """What all machines share is made, and entered: everything later reaches the lab through it."""

    def run() -> tuple[bool, str]:
        changed = context.lab.provider.prepare()
        context.lab.provider.enter()
        return changed, ""

    fresh = all(state is State.ABSENT for state in states.values())
    will = ("make what its machines share",) if fresh else ()
    return Step("prepare", "", "what the machines share", frozenset(), run, will=will, enters=True)


def making(context: Context, name: str, needs: Iterable[str]) -> list[Step]:
    """A machine is made, and boots for the first time."""
    return [_machine(context, name, needs, (MADE,)), booting(context, name)]


def awakening(context: Context, name: str, state: State) -> list[Step]:
    """A machine that exists is switched on, and boots."""
    return [_machine(context, name, (), (AWAKENED[state],)), booting(context, name)]


def resizing(context: Context, name: str, sentences: tuple[str, ...]) -> Step:
    """A machine gets the size that it should have."""
    return _machine(context, name, (), sentences)


def _machine(context: Context, name: str, needs: Iterable[str], will: tuple[str, ...]) -> Step:
    def run() -> tuple[bool, str]:
        return start(context, name), ""

    return Step("machine", name, "machine", frozenset(needs), run, will=will)


def booting(context: Context, name: str) -> Step:
    """Wait for a machine of this operation to have booted."""

    def run() -> tuple[bool, str]:
        return False, booted(context, name)

    return Step("boot", name, "first boot", frozenset({f"machine:{name}"}), run)


def outline(inventory: Inventory, name: str) -> Machine:
    """The machine of a host without what only its making needs: seed and volumes."""
    host = inventory.hosts[name]
    return Machine(
        name=name,
        interface=inventory.interface(name),
        mac=inventory.mac(name),
        cpus=host.cpus,
        memory_mib=host.memory_gib * 1024,
        disk_gib=host.disk_gib,
        cloud_init={},
    )


def machine(context: Context, name: str) -> Machine:
    """The machine of a host, ready to be made."""
    inventory = context.lab.inventory
    volumes: tuple[Volume, ...] = ()
    if name in inventory.nodes:
        # containerd's overlay snapshotter cannot live on an overlay
        volumes = (
            Volume("/var/lib/containerd", context.artefacts.containerd_root, DATABASES),
            Volume("/var/lib/kubelet"),
            Volume("/var/lib/etcd"),
        )
    traits, keys = context.lab.provider.traits_of(name), context.lab.keys
    files = first_boot(inventory, traits, context.bundles[name], keys)
    return replace(outline(inventory, name), cloud_init=files, volumes=volumes)


def start(context: Context, name: str) -> bool:
    """Make a machine, or switch it on. True when something was changed."""
    provider = context.lab.provider
    if provider.state(name) is State.PAUSED:
        provider.power(name, Power.RESUME)
        return True
    return provider.create(machine(context, name))


def _ended(inventory: Inventory, name: str) -> str:
    """The command that prints cloud-init's result, and then what it says of its stages, if it does.

    A machine that exists may never have had any.
    """
    if inventory.makes(name):
        return f"cat {RESULT} && {{ cat {STATUS} 2>/dev/null || true; }}"
    return f"if test -d {Path(RESULT).parent}; then cat {RESULT}; else echo '{NO_RESULT}'; fi"


def booted(context: Context, name: str) -> str:
    """Wait until the host lets us in and cloud-init has ended well; what it remarked, "" for nothing.

    Its result file counts: it appears when the last stage has ended, and holds the errors of all stages
    (`cloud-init status` says the same, but starts a Python on a host that is busy booting, and its exit code
    is that of an error for a remark, and that of an end while it runs). Raises `FailedError` with stage and
    words of what failed, `DeadlineError` with what was seen last.
    """
    note = context.noting(f"boot:{name}")
    logs = f"invoke logs --host {name}"

    def probe() -> str:
        state = context.lab.provider.state(name)
        if state is State.PAUSED:
            raise FailedError(f"{name}: was paused while it booted", next_step="invoke build lets it go on")
        if state is not State.RUNNING:
            raise FailedError(f"{name}: is {state} while it should boot", next_step=logs)
        try:
            said = context.lab.ssh.run(name, _ended(context.lab.inventory, name), seconds=20)
        except (FailedError, DeadlineError) as error:
            note(error.message.splitlines()[0])
            raise still(error) from error
        errors, remarks = _judged(said)
        if errors:
            told = f"{name}: cloud-init failed: {'; '.join(errors)}"
            raise FailedError(told, next_step=f"{logs}; on the machine: {LOG}")
        return "; ".join(remarks)

    try:
        return wait_for(f"boot of {name}", probe, seconds=BOOT_SECONDS, interval=0.3, next_step=logs)
    except DeadlineError as late:
        last = "\n    ".join([late.last, *_console(context, name)])
        raise DeadlineError(late.subject, late.seconds, last, next_step=logs) from late


def _judged(said: str) -> tuple[list[str], list[str]]:
    """Errors of cloud-init, with their stage where it tells it, and what it remarked and went on.

    Versions before 23.4 tell no remarks. Raises `NotYet` for a file that is not whole.
    """
    decoder, documents = json.JSONDecoder(), []
    try:
        while said := said.strip():
            document, end = decoder.raw_decode(said)
            documents.append(document["v1"])
            said = said[end:]
    except ValueError as error:
        raise NotYet(f"cloud-init's result is not whole: {error}") from error
    result, *more = documents
    stages = {name: stage for part in more for name, stage in part.items() if isinstance(stage, dict)}
    errors = [f"{name}: {text}" for name, stage in stages.items() for text in stage.get("errors", ())]
    remarks = [
        f"cloud-init, {name}: {level}: {shorten(text)}"
        for name, stage in stages.items()
        for level, texts in stage.get("recoverable_errors", {}).items()
        for text in texts
    ]
    return (errors or result["errors"]) if result["errors"] else [], remarks


def _console(context: Context, name: str) -> list[str]:
    """The end of what the provider knows of a machine that does not let us in: its console, its agent."""
    try:
        lines = context.lab.provider.console(name).splitlines()
    except (FailedError, DeadlineError) as error:
        lines = error.message.splitlines()
    return [line for line in lines if line.strip()][-CONSOLE_LINES:]
