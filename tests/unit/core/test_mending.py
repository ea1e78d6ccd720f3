"""Every command of the menu that touches a lab heals first what a crashed run left broken in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from invoke.context import Context

import tasks
from lab.commands import session
from lab.damage import Damage, Journal
from lab.faults import recovery
from lab.labs import Lab
from tests.world import INVENTORY

MENU = {name: tasks.namespace[name] for name in tasks.namespace.task_names}
HELP = {name: tuple(task.help) for name, task in MENU.items()}
"""The options of each, taken before invoke takes them out of a task whose arguments it makes."""
NO_LAB = {
    *("validate", "show", "init", "docs", "render", "seed", "artifacts.show", "artifacts.bundle", "report"),
    *("vagrant.box", "proxmox.role", "proxmox.templates"),
}
"""They read files or make them, or ask the hypervisor for what belongs to no lab."""
REMOVES = {"destroy"}
"""What is broken in a lab goes with its machines."""
GIVEN = {"host": "master-1", "name": "power-off", "layer": ["node"], "what": "lab"}


class Mended(BaseException):
    """Ends a command in the moment in which it heals: no command may catch it and go on."""


LEFT = (Damage("power-off", "master-2", seconds=60), Damage("sysctl-off", "worker-1", repair="true"))


@pytest.fixture(params=LEFT, ids=("fault", "defect"))
def left(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An inventory with a lab in which a fault, or a seeded defect, was left behind."""
    monkeypatch.setenv("PLUMBLINE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(session, "ROOT", tmp_path)
    path = tmp_path / "mine.yaml"
    path.write_text(INVENTORY + "disposable: true\nobservability: {}\n")
    lab = Lab(session.read(str(path)), tmp_path)
    Journal(lab).add(request.param)

    def healed(*_: object) -> tuple[str, ...]:
        raise Mended

    def touched(*_: object) -> None:
        raise AssertionError("the lab was touched and not healed")

    monkeypatch.setattr(recovery, "heal_left_behind", healed)
    monkeypatch.setattr("lab.labs.provider_for", touched)
    before = signal.getsignal(signal.SIGTERM)
    yield path
    signal.signal(signal.SIGTERM, before)


def invoke(name: str, inventory: Path) -> None:
    """Run a command that is given the lab."""
    known = [option for option in HELP[name] if option in GIVEN or option == "inventory"]
    if name == "plan":  # its own options are those of every operation
        known = ["inventory"]
    given: dict[str, Any] = {option: GIVEN.get(option, str(inventory)) for option in known}
    if name == "open":  # a page, where others have a fault by name
        given["name"] = "prometheus"
    MENU[name].body(Context(), **given)


def test_every_command_is_known_to_touch_a_lab_or_not() -> None:
    assert set(MENU) >= NO_LAB | REMOVES


@pytest.mark.parametrize("name", sorted(set(MENU) - NO_LAB - REMOVES))
def test_a_command_that_touches_a_lab_heals_it_first(name: str, left: Path) -> None:
    with pytest.raises(Mended):
        invoke(name, left)
