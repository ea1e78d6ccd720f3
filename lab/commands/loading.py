"""load: one profile of the inventory against the lab's ingress, and its verdict as an exit code."""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

from rich.table import Table

from lab.checks.driver import Driver
from lab.checks.ingress import ingress_client
from lab.checks.sample_apps import site
from lab.commands.session import Session, session, shown
from lab.damage import undamaged
from lab.errors import AcceptanceError, InputError
from lab.load.ceiling import ceilings
from lab.load.drive import new_folder, profile_of, target_of
from lab.load.generator import ELSEWHERE_SECONDS, generate, worker_command
from lab.load.judge import Judgement, LoadOutcome, judge
from lab.load.result import LoadResult
from lab.render.bundle import pins


@shown
def load(inventory: str, provider: str, profile: str, workers: int, bind: str, ceiling: bool) -> None:
    """Run a profile and judge it. Raises `AcceptanceError` when it failed or says nothing (void)."""
    _check(workers, bind)
    with session("load", inventory, provider) as opened:
        wanted = profile_of(opened.inventory, profile)
        with undamaged(opened.lab, "invoke load"), opened.lab.inside():
            ingress = ingress_client(Driver(opened.lab, opened.run.folder, pins(opened.inventory)))
            with site(ingress, "load"):
                target = target_of(ingress)
                opened.console.say(f"{wanted.users} users, {wanted.seconds} s, from {workers} processes")
                if bind:
                    opened.console.say(
                        f"waiting {ELSEWHERE_SECONDS} s for them; on each machine: {worker_command(bind)}"
                    )
                folder = new_folder(opened.run.folder, profile)
                result = generate(target, wanted, folder, workers=workers, bind=bind)
                limits = [item.as_json() for item in ceilings(target, folder / "ceiling")] if ceiling else []
        verdict = judge(result, wanted, workers=workers)
        kept = {
            "profile": {"name": profile, **wanted.model_dump()},
            "workers": workers,
            "outcome": verdict.outcome.value,
            "reasons": verdict.reasons,
            "result": result.as_json(),
            "ceiling": limits,
        }
        path = opened.run.keep("load.json", json.dumps(kept, indent=2))
        _show(opened, result, limits)
        opened.console.say(f"{verdict.outcome.value}; all of it: {path}")
        _raise(opened, verdict)


def _check(workers: int, bind: str) -> None:
    """Raise `InputError` for what cannot be."""
    if workers < 1:
        raise InputError(f"--workers {workers}: must be at least 1", next_step="invoke load --workers 2")
    if bind:
        try:
            IPv4Address(bind)
        except ValueError as error:
            raise InputError(f"--bind {bind}: {error}", next_step="an address of this machine") from None


def _show(opened: Session, result: LoadResult, limits: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in (
        ("requests", f"{result.requests}, {result.rate:g} a second"),
        ("failed", f"{result.failures} ({result.failure_percent:.3f} %)"),
        (
            "p50, p95, p99, max",
            f"{result.p50_ms:g}, {result.p95_ms:g}, {result.p99_ms:g}, {result.max_ms:g} ms",
        ),
        ("longest gap", f"{result.gap_seconds:g} s"),
        *((f"served by {pod}", f"{number}") for pod, number in result.served.items()),
        *(
            ("generator", f"{one.cpu_percent:g} % of a core, {one.lag_ms:g} ms late")
            for one in result.generators
        ),
        *(
            (
                f"ceiling of {one['tool']}",
                one["missing"] or f"{one['rate']:g} a second, {one['rate_per_core']} for each core",
            )
            for one in limits
        ),
        *(("failure", problem) for problem in result.problems),
    ):
        table.add_row(name, value)
    opened.console.show(table)


def _raise(opened: Session, verdict: Judgement) -> None:
    if verdict.outcome is not LoadOutcome.PASSED:
        raise AcceptanceError(
            f"{opened.inventory.lab}: load run {verdict.outcome.value}: {'; '.join(verdict.reasons)}",
            next_step="void: more --workers or fewer users; failed: invoke status, invoke logs",
        )
