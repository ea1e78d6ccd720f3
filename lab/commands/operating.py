"""plan, and the frame around every operation: lock, artefacts, evidence, report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from invoke.exceptions import Exit
from rich.markup import escape
from rich.syntax import Syntax

from lab.artifacts.kept import cache_folder
from lab.artifacts.obstacles import unusable
from lab.artifacts.provide import provide, stock
from lab.artifacts.sources import SOURCES, named_source
from lab.artifacts.sources.mirror import MirrorSource
from lab.artifacts.sources.mirror import missing as not_brought
from lab.artifacts.status import MADE_HERE, StatusRow, lacking, undecided
from lab.artifacts.wanted import wanted
from lab.commands import asking
from lab.commands.session import OF_ARTEFACTS, Session, session, shown, stopping, tell_warnings
from lab.damage import Journal
from lab.errors import PlumblineError, PreflightError
from lab.local import unwritable
from lab.locks import exclusive
from lab.operations import find
from lab.providers.opening import stocked
from lab.render.bundle import pins
from lab.render.roles import all_packages
from lab.steps.context import Context
from lab.steps.engine import Step, listed, not_looked_at, something_to_do
from lab.steps.operation import Operation
from lab.steps.preflight import rows_by_arch

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
        tell_warnings(opened.inventory)
        command = _typed(operation, options)
        agreed = asking.named(opened.inventory.lab, options.pop("yes", ""), command)
        if found.heals:
            _heal(opened)
        if found.check:
            found.check(opened.lab)
        with equipped(opened, found, options) as context:
            stake = found.stake(context, **options)
            if stake:
                _print(context, listed(found.steps(context, **options)))
            if stake and not agreed:
                asking.confirm(opened, stake, command)
            _act(opened, context, found, options)


def _typed(operation: str, options: Mapping[str, Any]) -> str:
    """The command as it was typed, without what names the lab and without a yes."""
    words = ["invoke", operation]
    for name, value in options.items():
        if value and name not in ("yes", "source"):
            for one in value if isinstance(value, tuple) else (value,):
                words += [f"--{name.replace('_', '-')}", *([str(one)] if one is not True else [])]
    return " ".join(words)


@contextmanager
def equipped(opened: Session, operation: Operation, options: dict[str, Any]) -> Iterator[Context]:
    """What an operation works with, artefacts brought; takes the options out that only this frame uses."""
    source = options.pop("source", "auto")
    options.pop("backend", "")  # the lab is opened with it
    if not operation.artefacts:
        yield Context(opened.lab, None, opened.console, opened.run)
        return
    items, say, mirrors = wanted(opened.inventory), opened.console.say, opened.inventory.containerd.mirrors
    with stopping(OF_ARTEFACTS):
        provided = provide(items, source=source, packages=all_packages(), mirrors=mirrors, say=say)
        stocks = {
            arch.value: stock(provided, items, arch, mirrors=mirrors, say=say)
            for arch in stocked(opened.inventory)
        }
    lab = opened.lab.with_layers((provided.payload, provided.debian))
    yield Context(lab, provided, opened.console, opened.run, stocks)


def _plan(name: str, inventory: str, provider: str, options: dict[str, Any]) -> None:
    operation = find(name)
    options.pop("yes", None)
    with session("plan", inventory, provider, options.get("backend", ""), reads=True) as opened:
        missing = _missing(opened, options.get("source", "auto")) if operation.artefacts else ()
        with _unequipped(opened, options) if missing else equipped(opened, operation, options) as context:
            tell_warnings(opened.inventory)
            context.planning = True
            steps = _steps_told(context, operation, options)
        for row in missing:
            named = " ".join(filter(None, (row.component, row.version)))
            opened.console.say(f"make or fetch {named} (source {row.source})", "artefacts")
        _print(context, steps)
        if context.lacking and not steps:
            opened.console.say(escape(str(context.lacking)))
        unseen = not_looked_at(step for step in steps if step.unknown is not context.lacking)
        if unseen:
            raise unseen
        empty = not missing and not something_to_do(steps)
        if empty:
            opened.console.say(operation.nothing)
    if not empty:
        raise Exit(code=SOMETHING_TO_DO)


def _missing(opened: Session, source: str) -> Sequence[StatusRow]:
    """The artefacts that the operation would bring first. Raises what source mirror says of its own, and
    `PreflightError` where none of them could be kept."""
    found = rows_by_arch(opened.inventory, source, opened.console.say)
    missing = {arch: lacking(rows) for arch, rows in found.items()}
    if named_source(source) == MirrorSource.name:
        wanted_for: dict[str, list[str]] = {}
        for arch, rows in missing.items():
            for row in rows:
                if row.component not in MADE_HERE:
                    wanted_for.setdefault(row.component, []).append(arch)
        if wanted_for:
            raise not_brought(*_by_arch(wanted_for))
    if any(missing.values()) and (why := unwritable(cache_folder())):
        raise unusable(cache_folder(), why)
    either = "upstream, or modules if it does not answer"
    return [
        replace(row, source=either) if row.source in SOURCES and undecided(found[arch], source) else row
        for arch, rows in missing.items()
        for row in rows
    ]


def _by_arch(wanted_for: Mapping[str, Sequence[str]]) -> tuple[list[str], str]:
    """Each component once, behind those of the same architectures; the last architectures apart."""
    groups: dict[str, list[str]] = {}
    for name, arches in wanted_for.items():
        groups.setdefault(", ".join(arches), []).append(name)
    *others, (last, names) = groups.items()
    return [*(f"{', '.join(some)} ({arches})" for arches, some in others), *names], last


@contextmanager
def _unequipped(opened: Session, options: dict[str, Any]) -> Iterator[Context]:
    """What a plan works with where artefacts are missing: it reads, so it brings none."""
    for name in ("source", "backend"):
        options.pop(name, "")
    lacking = PreflightError(
        "what else differs can be told when the artefacts are here",
        next_step="invoke artifacts --fetch, then invoke plan",
    )
    yield Context(opened.lab, None, opened.console, opened.run, lacking=lacking)


def _steps_told(context: Context, operation: Operation, options: Mapping[str, Any]) -> list[Step]:
    """The steps of an operation; none where one of them cannot be told without artefacts that are missing."""
    try:
        return listed(operation.steps(context, **options))
    except PreflightError as error:
        if error is not context.lacking:
            raise
        return []


def _print(context: Context, steps: Iterable[Step]) -> None:
    for step in steps:
        for sentence in step.will:
            context.console.say(escape(sentence), step.subject)
        for sentence in step.asks:
            context.console.say(f"[yellow]{escape(sentence)}[/yellow]", step.subject)
        for diff in step.diffs:
            context.console.show(Syntax(diff, "diff", background_color="default"))


def _act(opened: Session, context: Context, operation: Operation, options: dict[str, Any]) -> None:
    try:
        changed = context.engine.execute(operation.steps(context, **options))
        # what could not be healed before its machine ran, or went with it
        if operation.heals:
            _heal_left_behind(opened)
        elif not context.lab.provider.machines():
            Journal(opened.lab).clear()
    except PlumblineError as error:
        _keep_evidence(context, error)
        raise
    finally:
        if opened.run.events:
            from lab.report import write_run  # a plan needs none, and is done before that is imported

            context.console.say(f"report: {write_run(opened.run.folder)}")
    if not changed and not context.engine.asked:
        opened.console.say(operation.nothing)
    for line in operation.told(context, changed, **options):
        opened.console.show(escape(opened.hint(line)) if isinstance(line, str) else line)


def _keep_evidence(context: Context, error: PlumblineError) -> None:
    """What the hosts of the steps that failed, and those that the error names, know right now."""
    if not context.engine.failures:
        return
    from lab.checks import evidence
    from lab.checks.driver import Driver

    failed = {step.host for step, _ in context.engine.failures if step}
    named = set(re.findall(r"[\w-]+", error.message))
    hosts = [name for name in context.lab.inventory.hosts if name in failed | named]
    with context.console.working("evidence", "what the hosts concerned know"):
        folder = evidence.collect(
            Driver(context.lab, context.run.folder, pins(context.lab.inventory)),
            hosts,
            "evidence",
            str(error),
        )
    context.console.say(f"evidence: {context.run.folder / folder}")


def _heal(opened: Session) -> None:
    """Heal what a crashed run left, as far as its machines run; health is what the operation makes itself.

    Raises `PreflightError` for damage that a living process does or that this version does not know.
    """
    try:
        _heal_left_behind(opened)
    except PreflightError:
        raise
    except PlumblineError as error:
        opened.console.say(f"what was left broken is healed later: {error.message}")


def _heal_left_behind(opened: Session) -> None:
    if Journal(opened.lab).entries():
        from lab.faults.recovery import heal_left_behind  # slow to import, and seldom needed

        heal_left_behind(opened.lab, opened.console.say)
