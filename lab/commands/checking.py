"""validate, show, init, docs: the inventory, without a lab.

Each imports what it needs itself: `validate` is run at every save of a file and needs next to nothing.
"""

from __future__ import annotations

from lab.commands import asking
from lab.commands.session import ROOT, read, shown, tell_warnings


@shown
def validate(inventory: str, provider: str) -> None:
    """Check the inventory, and the roles beside it; say that they hold, and what is warned of."""
    from lab.render.roles import load_roles

    found = read(inventory, provider)
    load_roles()
    tell_warnings(found)
    count = len(found.warnings)
    warned = f", {count} warning{'s' * (count > 1)}" if count else ""
    machines = f"{len(found.hosts)} machines, {len(found.nodes)} Kubernetes nodes"
    print(f"{found.lab}: {machines}: no errors{warned}")


@shown
def show(inventory: str, provider: str) -> None:
    """Print the resolved inventory with what follows from it."""
    from rich.console import Console as RichConsole

    from lab.inventory.show import show as shown_inventory

    RichConsole().print(shown_inventory(read(inventory, provider)))


@shown
def init(name: str, provider: str, lan: str, masters: str, workers: str) -> None:
    """Write a commented inventory; ask on a terminal for what was not given."""
    from lab.inventory.init import init as write_inventory

    answers = {"provider": provider, "lan": lan, "masters": masters, "workers": workers}
    given = {key: value for key, value in answers.items() if value}
    path = write_inventory(name, given, ask=_ask if asking.somebody_there() else None)
    print(f"{path.relative_to(ROOT)}: written\n  next: invoke show -i {name}")


def _ask(question: str) -> str:
    return asking.answer(question, stopped="nothing was written")


@shown
def docs() -> None:
    """Write the generated files anew."""
    from lab.commands.generated import refresh

    for path in refresh():
        print(f"{path.relative_to(ROOT)}: written")
