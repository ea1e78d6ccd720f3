"""fault, faults and trials: one damage with health on both sides, what can be broken, and many of one."""

from __future__ import annotations

import json
import os
from contextlib import nullcontext
from dataclasses import asdict

from rich.markup import escape
from rich.table import Table

from lab.checks.driver import Driver
from lab.checks.outcomes import Mismatch
from lab.checks.verbs import Refused
from lab.commands.session import Session, open_lab, read, session, shown
from lab.console import Console
from lab.damage import undamaged
from lab.errors import FailedError, InputError
from lab.faults import catalogue
from lab.faults.inject import injected
from lab.faults.kinds import Fault
from lab.faults.recovery import await_health, must_be_healthy
from lab.faults.trials import Trial, gaps, summary, trial
from lab.machines import State
from lab.render.bundle import pins
from lab.report.series import Series, write
from lab.steps.preflight import states


@shown
def faults(inventory: str, provider: str) -> None:
    """Print every fault, the host it hits by default, and why this lab cannot have it."""
    lab = open_lab(read(inventory, provider))
    running = State.RUNNING in states(lab).values()
    with lab.inside() if running else nullcontext():
        offers = catalogue.offers(lab)
    table = Table(box=None, pad_edge=False)
    for title in ("fault", "by default", "seconds", "what it does"):
        table.add_column(title)
    for offer in offers:
        said = escape(offer.kind.meaning)
        if offer.reason:
            said += f" [yellow](not here: {escape(offer.reason)})[/yellow]"
        table.add_row(offer.kind.name, offer.host, f"{offer.kind.seconds:g}", said)
    Console().show(table)


@shown
def fault(name: str, inventory: str, provider: str, host: str, seconds: float) -> None:
    """Inject one fault, hold it for its bound, heal it, wait for health."""
    with session("fault", inventory, provider) as opened, undamaged(opened.lab, "invoke fault"):
        wanted = catalogue.fault(opened.lab, name, host, seconds)
        # a lab that may not be broken may not exist either, and is refused for the former
        with opened.lab.inside() if opened.inventory.disposable else nullcontext():
            _inject(opened, wanted)


def _inject(opened: Session, wanted: Fault) -> None:
    console, driver = opened.console, Driver(opened.lab, opened.run.folder, pins(opened.inventory))

    def healthy_again() -> None:
        console.say("healed; waiting for health", wanted.host)
        with console.working("health", "the lab becomes healthy"):
            await_health(driver)

    with injected(opened.lab, wanted, before=lambda: must_be_healthy(driver), after=healthy_again) as live:
        meaning = escape(wanted.kind.meaning)
        console.say(f"{wanted.kind.name}: {meaning} ({wanted.seconds:g} s)", wanted.host)
        with console.working("fault", wanted.title):
            live.over.wait(wanted.seconds)
    console.say("healthy again", wanted.host)


@shown
def trials(name: str, inventory: str, provider: str, host: str, times: int) -> None:
    """The same fault many times under traffic; percentiles as JSON, and a series for the report."""
    if times < 1:
        raise InputError(f"--times {times}: must be at least 1", next_step="invoke trials --times 20")
    catalogue.kind_of(name)  # what does not exist is told before any lab is looked for
    with (
        session("trials", inventory, provider) as opened,
        undamaged(opened.lab, "invoke trials"),
        opened.lab.inside(),
    ):
        lab, console = opened.lab, opened.console
        driver = Driver(lab, opened.run.folder, pins(lab.inventory))
        done: list[Trial] = []
        for number in range(1, times + 1):
            with console.working("trial", f"trial {number} of {times}: {name} of {host}"):
                one, asked = _one(driver, name, host)
            done.append(one)
            opened.run.keep(f"evidence/trial-{number}.json", asked.model_dump_json())
            story = Series(title=f"{len(done)} trials of {name} of {host}", gaps=gaps(name, done))
            write(story, opened.run.folder, f"trials-{name}-{host}")
            said = ", ".join(f"{key} {value}" for key, value in _short(one).items())
            console.say(f"trial {number} of {times}: {said}", one.host)
        figures = {
            "lab": lab.inventory.lab,
            "reaction": lab.inventory.kubernetes.reaction,
            "fault": name,
            "host": host,
            "trials": times,
            "load_average": os.getloadavg()[0],
            **summary(done),
        }
        opened.run.keep(
            "trials.json", json.dumps(figures | {"each": [asdict(item) for item in done]}, indent=1)
        )
        console.show(json.dumps(figures, indent=2))


def _one(driver: Driver, name: str, host: str) -> tuple[Trial, Series]:
    try:
        return trial(driver, name, host)
    except (Mismatch, Refused) as error:
        raise FailedError(f"trial of {name} of {host}: {error}", next_step="invoke status") from error


def _short(item: Trial) -> dict[str, str]:
    values = asdict(item)
    del values["host"]
    values = values.pop("silences") | values
    return {
        key: "never" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
        for key, value in values.items()
    }
