"""The JSON schema of an inventory, for editors: completion, descriptions and a first check while typing."""

from __future__ import annotations

import json
from typing import Any

from lab.inventory import files
from lab.inventory.complete import inventory_model

FILE = files.FOLDER / "schema.json"

Schema = dict[str, Any]


def schema() -> str:
    """The text of `inventory/schema.json`, generated from the models."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Plumbline inventory",
        "description": "One file, one lab. Rules between fields are checked by `invoke validate`.",
    }
    body = {key: value for key, value in tree().items() if key not in head}
    return json.dumps(head | body, indent=2) + "\n"


def tree() -> Schema:
    """The schema as data. Names that the models refuse are refused, and no title repeats a key."""
    generated: Schema = inventory_model().model_json_schema()
    for model in (generated, *generated["$defs"].values()):
        model.pop("title", None)
        for field in model.get("properties", {}).values():
            field.pop("title", None)
            if "patternProperties" in field:
                field["additionalProperties"] = False
                field.pop("propertyNames", None)
    return generated
