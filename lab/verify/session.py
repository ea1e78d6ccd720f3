"""What the process that runs the tests is told by the process that started it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from lab.checks.driver import Driver
from lab.inventory.complete import inventory_model
from lab.labs import Lab
from lab.render.bundle import pins
from lab.verify.layers import Layer


class SuiteContext(BaseModel):
    """One layer of one run. `records` is a file descriptor of the starter's, for the records; without
    `evidence` a red check is told and nothing is gathered about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inventory: str
    """The inventory as JSON: tests see exactly what the command was given, by whatever file or provider."""
    root: Path
    folder: Path
    layer: Layer
    selection: str
    records: int
    evidence: bool = True

    @classmethod
    def of(
        cls, lab: Lab, folder: Path, layer: Layer, selection: str, records: int, *, evidence: bool = True
    ) -> SuiteContext:
        """The context of a lab's layer."""
        # defaults are left out: some of them (no keys of people) are no valid input when spelled out
        text = lab.inventory.model_dump_json(exclude_defaults=True)
        return cls(
            inventory=text,
            root=lab.root,
            folder=folder,
            layer=layer,
            selection=selection,
            records=records,
            evidence=evidence,
        )

    def driver(self) -> Driver:
        """Open the lab again, in this process."""
        inventory = inventory_model().model_validate_json(self.inventory)
        lab = Lab.open(inventory, self.root)
        return Driver(lab, self.folder, pins(inventory), offline=not self.layer.needs_lab)
