"""preflight: what speaks against a build, as lines or as JSON."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps
from typing import Any

from invoke.exceptions import Exit
from rich.markup import escape

from lab.commands.hints import with_options
from lab.commands.session import aside, open_lab, read, session, shown, tell_warnings, understood
from lab.errors import PreflightError
from lab.machines import Blocker
from lab.runs import mask
from lab.steps.preflight import examine
from lab.steps.preflight import preflight as check


@shown
def preflight(inventory: str, provider: str, json: bool) -> None:
    """Say whether this machine can take the lab; change nothing."""
    if json:
        _preflight_json(inventory, provider)
        return
    with session("preflight", inventory, provider, reads=True) as opened:
        tell_warnings(opened.inventory)
        count, warnings = check(opened.lab, opened.console.say)
        for warning in warnings:
            opened.console.say(escape(f"warning: {warning}"))
        opened.console.say(f"{opened.inventory.lab}: ready to make or start {count} machines")


def _preflight_json(inventory: str, provider: str) -> None:
    """The same as JSON, in the shape of docs/preflight.md, whatever is wrong."""
    said: dict[str, Any] = {"lab": None, "ready": False, "machines": None, "findings": [], "error": None}
    code = 0
    try:
        found = read(inventory, provider)
        said["lab"] = found.lab
        count, problems = examine(open_lab(found), aside)
        refused = any(problem.stops for problem in problems)
        said |= {"ready": not refused, "machines": count}
        said["findings"] = [_finding(problem) for problem in problems]
        said["findings"] += [_warning(line) for line in found.warnings]
        code = PreflightError.exit_code if refused else 0
    except Exception as error:
        ours = understood(error)
        code = ours.exit_code
        texts = {"message": ours.message, "next": ours.next_step}
        chosen = {"inventory": inventory, "provider": provider}
        texts = {key: mask(with_options(text, chosen)) for key, text in texts.items()}
        said["error"] = {"exit_code": code} | texts
        if ours is not error:  # the frame around every command tells it to a person, too
            print(dumps(said, indent=2))
            raise
    print(dumps(said, indent=2))
    if code:
        raise Exit(code=code)


def _finding(problem: Blocker) -> dict[str, str]:
    texts = {key: value for key, value in asdict(problem).items() if key != "stops"}
    return texts | {"state": "refused" if problem.stops else "warning"}


def _warning(line: str) -> dict[str, str]:
    """A warning of the inventory as a finding: its line ends with what to do."""
    seen, _, fix = line.removeprefix("warning: ").rpartition("; ")
    return {"subject": "inventory", "seen": seen, "wanted": "", "fix": fix, "state": "warning"}
