"""The schemas of the report's documents, written to docs/ by `python -m lab.report.schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab.report.series import Series
from lab.verify.record import Verdict

DOCS = Path(__file__).parents[2] / "docs"


def schemas() -> dict[Path, dict[str, Any]]:
    """Schema by file: of `report.json`, and of what lies in a run's `series/`."""
    return {
        DOCS / "report.schema.json": Verdict.model_json_schema(),
        DOCS / "series.schema.json": Series.model_json_schema(),
    }


if __name__ == "__main__":
    for path, schema in schemas().items():
        path.write_text(json.dumps(schema, indent=1) + "\n")
