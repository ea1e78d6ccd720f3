"""Seeded defects of Loki's and Alloy's configuration."""

from __future__ import annotations

from lab.inventory.models import Inventory
from lab.selftest.defect import Defect, Slip


def defects(_: Inventory) -> list[Defect]:
    """All of them: mistakes of a file, since no lab of the tests runs these programs."""
    return [
        Slip(
            name="alloy-forwards-to-nobody",
            title="pods' lines are forwarded to a component that is not there",
            row="P0-10",
            host="",
            says="loki.source.file.pods: forward_to: there is no loki.process.lines",
            file="addons/loki/section_alloy.py",
            old='[Word("loki.process.pods.receiver")]',
            new='[Word("loki.process.lines.receiver")]',
        ),
        Slip(
            name="loki-keeps-for-ever",
            title="Loki's compactor removes nothing",
            row="P0-11",
            host="",
            says="compactor.retention_enabled: must be true",
            file="addons/loki/section_loki.py",
            old='"retention_enabled": True',
            new='"retention_enabled": False',
        ),
    ]
