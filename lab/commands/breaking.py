"""fault and faults: one damage with health on both sides; the list of what can be broken."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from lab.commands.session import ROOT, read, session, shown
from lab.console import Console
from lab.faults import catalogue
from lab.faults.inject import injected
from lab.faults.mend import await_health, mend, must_be_healthy
from lab.labs import Lab
from lab.locks import exclusive
from lab.phases.preflight import states
from lab.providers.base import State
from lab.render.bundle import pins
from lab.verify.driver import Driver


@shown
def faults(inventory: str, provider: str) -> None:
    """Print every fault, the host it hits by default, and why this lab cannot have it."""
    lab = Lab.open(read(inventory, provider), ROOT)
    if State.RUNNING in states(lab).values():
        lab.provider.enter()
    table = Table(box=None, pad_edge=False)
    for title in ("fault", "by default", "seconds", "what it does"):
        table.add_column(title)
    for offer in catalogue.offers(lab):
        said = escape(offer.kind.meaning)
        if offer.reason:
            said += f" [yellow](not here: {escape(offer.reason)})[/yellow]"
        table.add_row(offer.kind.name, offer.host, f"{offer.kind.seconds:g}", said)
    Console().show(table)


@shown
def fault(inventory: str, provider: str, name: str, host: str, seconds: float) -> None:
    """Inject one fault, hold it for its bound, heal it, wait for health."""
    with session("fault", inventory, provider) as opened, exclusive(opened.lab, "invoke fault"):
        lab, console = opened.lab, opened.console
        wanted = catalogue.fault(lab, name, host, seconds)
        mend(lab, console.say)
        if lab.inventory.disposable:
            lab.provider.enter()
        driver = Driver(lab, opened.run.folder, pins())

        def healthy_again() -> None:
            console.say("healed; waiting for health", wanted.host)
            with console.working("health", "the lab becomes healthy"):
                await_health(driver)

        with injected(lab, wanted, before=lambda: must_be_healthy(driver), after=healthy_again) as live:
            console.say(f"{name}: {escape(wanted.kind.meaning)} ({wanted.seconds:g} s)", wanted.host)
            with console.working("fault", wanted.title):
                live.over.wait(wanted.seconds)
        console.say("healthy again", wanted.host)
