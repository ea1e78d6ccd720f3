"""plan, and the frame around every operation: lock, artefacts, evidence, report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from invoke.exceptions import Exit
from rich.markup import escape
from rich.syntax import Syntax

from lab.artifacts.provide import provide, stock
from lab.artifacts.wanted import wanted
from lab.checks import evidence
from lab.checks.driver import Driver
from lab.commands import asking
from lab.commands.session import Session, session, shown
from lab.damage import Journal
from lab.errors import PlumblineError, PreflightError
from lab.faults.recovery import heal_left_behind
from lab.locks import exclusive
from lab.operations import find
from lab.providers.opening import stocked
from lab.render.bundle import pins
from lab.render.roles import all_packages
from lab.report import write_run
from lab.steps.context import Build
from lab.steps.engine import Step, listed, something_to_do
from lab.steps.operation import Operation

SOMETHING_TO_DO = 10
"""Exit code of a plan that is not empty."""


@shown
def plan(of: str, inventory: str, provider: str, **options: Any) -> None:
    """Print what an operation would change: sentences and unified diffs."""
    _plan(of, inventory, provider, options)


@shown
def operate(operation: str, inventory: str, provider: str, dry_run: bool, **options: Any) -> None:
    """Carry an operation out, or print its plan."""
    if dry_run:
        _plan(operation, inventory, provider, options)
        return
    found = find(operation)
    with (
        session(operation, inventory, provider, options.get("backend", ""), mends=False) as opened,
        exclusive(opened.lab, f"invoke {operation}"),
    ):
        command = _typed(operation, options)
        agreed = asking.named(opened.inventory.lab, options.pop("yes", ""), command)
        if found.heals:
            _heal(opened)
        if found.check:
            found.check(opened.lab)
        with equipped(opened, found, options) as build:
            stake = found.stake(build, **options)
            if stake:
                _print(build, listed(found.steps(build, **options)))
            if stake and not agreed:
                asking.confirm(opened, stake, command)
            _act(opened, build, found, options)


def _typed(operation: str, options: Mapping[str, Any]) -> str:
    """The command as it was typed, without what names the lab and without a yes."""
    words = ["invoke", operation]
    for name, value in options.items():
        if value and name not in ("yes", "source"):
            words += [f"--{name.replace('_', '-')}", *([str(value)] if value is not True else [])]
    return " ".join(words)


@contextmanager
def equipped(opened: Session, operation: Operation, options: dict[str, Any]) -> Iterator[Build]:
    """What an operation works with, artefacts brought; takes the options out that only this frame uses."""
    source = options.pop("source", "auto")
    options.pop("backend", "")  # the lab is opened with it
    if not operation.artefacts:
        yield Build(opened.lab, None, opened.console, opened.run)
        return
    items, say, mirrors = wanted(opened.inventory), opened.console.say, opened.inventory.containerd.mirrors
    provided = provide(items, source=source, packages=all_packages(), mirrors=mirrors, say=say)
    lab = opened.lab.with_layers((provided.payload, provided.debian))
    stocks = {
        arch.value: stock(provided, items, arch, mirrors=mirrors, say=say)
        for arch in stocked(opened.inventory)
    }
    yield Build(lab, provided, opened.console, opened.run, stocks)


def _plan(name: str, inventory: str, provider: str, options: dict[str, Any]) -> None:
    operation = find(name)
    options.pop("yes", None)
    with (
        session("plan", inventory, provider, options.get("backend", "")) as opened,
        equipped(opened, operation, options) as build,
    ):
        steps = listed(operation.steps(build, **options))
        _print(build, steps)
        for step in steps:
            if step.unknown:
                raise step.unknown
        empty = not something_to_do(steps)
        if empty:
            opened.console.say(operation.nothing)
    if not empty:
        raise Exit(code=SOMETHING_TO_DO)


def _print(build: Build, steps: Iterable[Step]) -> None:
    for step in steps:
        for sentence in step.will:
            build.console.say(escape(sentence), step.subject)
        for diff in step.diffs:
            build.console.show(Syntax(diff, "diff", background_color="default"))


def _act(opened: Session, build: Build, operation: Operation, options: dict[str, Any]) -> None:
    try:
        changed = build.engine.execute(operation.steps(build, **options))
        # what could not be healed before its machine ran, or went with it
        if operation.heals:
            heal_left_behind(opened.lab, opened.console.say)
        elif not build.lab.provider.machines():
            Journal(opened.lab).clear()
    except PlumblineError as error:
        _keep_evidence(build, error)
        raise
    finally:
        if opened.run.events:
            build.console.say(f"report: {write_run(opened.run.folder)}")
    if not changed:
        opened.console.say(operation.nothing)
    for line in operation.told(build, changed, **options):
        opened.console.show(escape(opened.hint(line)) if isinstance(line, str) else line)


def _keep_evidence(build: Build, error: PlumblineError) -> None:
    """What the hosts of the steps that failed, and those that the error names, know right now."""
    if not build.engine.failures:
        return
    failed = {step.host for step, _ in build.engine.failures if step}
    named = set(re.findall(r"[\w-]+", error.message))
    hosts = [name for name in build.lab.inventory.hosts if name in failed | named]
    with build.console.working("evidence", "what the hosts concerned know"):
        folder = evidence.collect(
            Driver(build.lab, build.run.folder, pins(build.lab.inventory)), hosts, "evidence", str(error)
        )
    build.console.say(f"evidence: {build.run.folder / folder}")


def _heal(opened: Session) -> None:
    """Heal what a crashed run left, as far as its machines run; health is what the operation makes itself.

    Raises `PreflightError` for damage that a living process does or that this version does not know.
    """
    try:
        heal_left_behind(opened.lab, opened.console.say)
    except PreflightError:
        raise
    except PlumblineError as error:
        opened.console.say(f"what was left broken is healed later: {error.message}")
