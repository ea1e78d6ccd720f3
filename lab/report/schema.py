"""The schema of `report.json`, written to docs/report.schema.json by `python -m lab.report.schema`."""

from __future__ import annotations

import json
from pathlib import Path

from lab.verify.record import Verdict

SCHEMA = Path(__file__).parents[2] / "docs" / "report.schema.json"

if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(Verdict.model_json_schema(), indent=1) + "\n")
