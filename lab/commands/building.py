"""preflight, plan and build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from json import dumps
from typing import Any

from invoke.exceptions import Exit
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Table

from lab.artifacts.provide import provide, stock
from lab.commands.hints import with_options
from lab.commands.session import Session, open_lab, read, session, shown
from lab.errors import PlumblineError, PreflightError
from lab.faults.recovery import heal_left_behind
from lab.labs import Lab
from lab.locks import exclusive
from lab.operations.build import PHASES, Plan, build_lab
from lab.operations.build import plan as make_plan
from lab.providers.opening import stocked
from lab.render.roles import all_packages
from lab.report import write_run
from lab.runs import mask
from lab.steps.context import Build
from lab.steps.preflight import examine
from lab.steps.preflight import preflight as check


@contextmanager
def building(opened: Session, source: str) -> Iterator[Build]:
    """A session with artefacts at hand."""
    provided = provide(source=source, packages=all_packages(), say=opened.console.say)
    lab = opened.lab.with_layers((provided.payload, provided.debian))
    stocks = {arch.value: stock(provided, arch, say=opened.console.say) for arch in stocked(opened.inventory)}
    yield Build(lab, provided, opened.console, opened.run, stocks)


@shown
def preflight(inventory: str, provider: str, json: bool) -> None:
    """Say whether this machine can take the lab; change nothing."""
    if json:
        _preflight_json(inventory, provider)
        return
    with session("preflight", inventory, provider) as opened:
        count = check(opened.lab)
        opened.console.say(f"{opened.inventory.lab}: ready to make or start {count} machines")


def _preflight_json(inventory: str, provider: str) -> None:
    """The same as JSON, in the shape of docs/preflight.md, whatever is wrong."""
    chosen = {"inventory": inventory, "provider": provider}
    said: dict[str, Any] = {"lab": None, "ready": False, "machines": None, "findings": [], "error": None}
    code = 0
    try:
        found = read(inventory, provider)
        said["lab"] = found.lab
        count, problems = examine(open_lab(found))
        said |= {"ready": not problems, "machines": count}
        said["findings"] = [asdict(problem) | {"state": "refused"} for problem in problems]
        said["findings"] += [_warning(line) for line in found.warnings]
        code = PreflightError.exit_code if problems else 0
    except PlumblineError as error:
        code = error.exit_code
        texts = {"message": error.message, "next": error.next_step}
        said["error"] = {"exit_code": code} | {
            key: mask(with_options(text, chosen)) for key, text in texts.items()
        }
    print(dumps(said, indent=2))
    if code:
        raise Exit(code=code)


def _warning(line: str) -> dict[str, str]:
    """A warning of the inventory as a finding: its line ends with what to do."""
    seen, _, fix = line.removeprefix("warning: ").rpartition("; ")
    return {"subject": "inventory", "seen": seen, "wanted": "", "fix": fix, "state": "warning"}


@shown
def phases() -> None:
    """Print the phases of a build in the order of a fresh lab."""
    for name, meaning in PHASES:
        print(f"{name:<10} {meaning}")


@shown
def plan(inventory: str, provider: str, source: str) -> None:
    """Print what build would change: actions and unified diffs."""
    with session("plan", inventory, provider) as opened, building(opened, source) as build:
        found = make_plan(build)
        _print_plan(build, found)
        if found.untold:
            raise found.untold


def _print_plan(build: Build, found: Plan) -> None:
    console = build.console
    if found.empty:
        console.say("nothing to change: the lab is what the inventory says")
        return
    for name, decision in found.decisions.items():
        for sentence in decision.sentences():
            console.say(escape(sentence), name)
        for change in decision.host:
            if change.diff:
                console.show(Syntax(change.diff, "diff", background_color="default"))
    if found.addons_unknown:
        for name in found.objects:
            console.say(f"apply add-on {name}")
    for name, objects in found.objects.items():
        for item in objects:
            console.say(f"{'change' if item.before else 'create'} {item.name}", name)
            if item.before:
                console.show(Syntax(item.diff, "diff", background_color="default"))


@shown
def build(inventory: str, provider: str, source: str, backend: str) -> None:
    """Converge the lab and sum it up."""
    with (
        session("build", inventory, provider, backend, mends=False) as opened,
        exclusive(opened.lab, "invoke build"),
    ):
        _heal(opened)
        check(opened.lab)
        with building(opened, source) as build:
            try:
                changed = build_lab(build)
                # what could not be healed before its machine ran
                heal_left_behind(opened.lab, opened.console.say)
            finally:
                if opened.run.events:
                    build.console.say(f"report: {write_run(opened.run.folder)}")
            if not changed:
                build.console.say("nothing to change: the lab is what the inventory says")
            summary(build.lab, opened)


def _heal(opened: Session) -> None:
    """Heal what a crashed run left, as far as its machines run; health is what the build makes itself.

    Raises `PreflightError` for damage that a living process does or that this version does not know.
    """
    try:
        heal_left_behind(opened.lab, opened.console.say)
    except PreflightError:
        raise
    except PlumblineError as error:
        opened.console.say(f"what was left broken is healed later: {error.message}")


def summary(lab: Lab, opened: Session) -> None:
    """Nodes, the API's address, the kubeconfig and what to type next."""
    inventory = lab.inventory
    lab.fetch_kubeconfig()
    table = Table(box=None, pad_edge=False)
    for title in ("machine", "role", "address"):
        table.add_column(title)
    for name, host in inventory.hosts.items():
        table.add_row(name, host.role.value, str(host.address))
    opened.console.show(table)
    for line in (
        "",
        f"API         https://{inventory.endpoint}",
        f"kubeconfig  {lab.kubeconfig}",
        f"took        {opened.console.elapsed:.1f} s; evidence in {opened.run.folder}",
        "",
        "next:",
        "  prove it, layer by layer        invoke verify",
        "  use it                          invoke kubectl -- get nodes -o wide",
        "  a shell in the lab's network    invoke shell",
        "  remove all of it                invoke destroy",
    ):
        opened.console.show(escape(opened.hint(line)))
