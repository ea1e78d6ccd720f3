"""The schemas of the report's documents."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel

from lab.checks.record import Verdict
from lab.report.series import Series

DOCS = Path(__file__).parents[2] / "docs"


def schemas() -> dict[Path, str]:
    """Schema by file: of `report.json`, and of what lies in a run's `series/`."""
    models: dict[str, type[BaseModel]] = {"report": Verdict, "series": Series}
    return {
        DOCS / f"{name}.schema.json": json.dumps(model.model_json_schema(), indent=1) + "\n"
        for name, model in models.items()
    }
