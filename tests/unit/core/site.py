"""A lab of the fakes with `invoke destroy` on it."""

from __future__ import annotations

from pathlib import Path

import pytest
from invoke.exceptions import Exit

from lab.commands import operating
from lab.inventory.models import Inventory
from lab.labs import Lab
from lab.operations.build import steps as building
from tests.world import INVENTORY, World, inventory

PROD = inventory()
TOY = inventory(INVENTORY + "disposable: true\n")


class Site:
    """A lab of the fakes with `invoke destroy` on it; what is asked is answered from a list."""

    def __init__(self, folder: Path, wanted: Inventory) -> None:
        self.world = World(folder, wanted)
        self.asked: list[str] = []
        self.answers: list[str | BaseException] = []
        self.terminal = True
        self.folder = folder

    def destroy(self, host: str = "", yes: str = "", lose_quorum: bool = False) -> int:
        """The exit code."""
        try:
            operating.operate("destroy", "rehearsal", "", False, host=host, yes=yes, lose_quorum=lose_quorum)
        except Exit as left:
            return left.code or 0
        return 0

    def lab(self) -> Lab:
        world = self.world
        return Lab(world.inventory, self.folder, world.provider, ssh=world.ssh, api=world.api)

    def plan(self, **options: object) -> int:
        """The exit code of `invoke plan --of destroy`."""
        try:
            operating.plan("destroy", "rehearsal", "", **options)
        except Exit as left:
            return left.code or 0
        return 0

    def input(self, question: str) -> str:
        self.asked.append(question)
        given = self.answers.pop(0)
        if isinstance(given, BaseException):
            raise given
        return given

    def removed(self) -> list[str]:
        return [name for verb, name in self.world.provider.log if verb == "destroy"]

    def build(self) -> None:
        made = self.world.build()
        try:
            made.engine.execute(building(made))
        finally:
            made.run.close()


disposable = pytest.mark.parametrize("site", [TOY], ids=["disposable"], indirect=True)
