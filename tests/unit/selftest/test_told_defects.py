"""A seeded defect has a name of its own, and names a row and a layer that there are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lab import parts
from lab.errors import InputError
from lab.selftest import catalogue
from tests.world import inventory

GOOD = catalogue.catalogue(inventory())[0]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "toy", "row": "P9-99"}, "toy: row: P9-99: is in no rows.yaml"),
        ({"name": "toy", "reddens": ("P9-98",)}, "toy: row: P9-98: is in no rows.yaml"),
        ({"name": "toy", "layer": "nods"}, "toy: layer: nods: must be one of render, node, "),
        ({}, f"{GOOD.name}: two defects have this name"),
    ],
)
def test_a_defect_that_no_check_could_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], said: str
) -> None:
    found = parts.part

    def part(module: str, name: str) -> Any:
        made = found(module, name)
        more = [replace(GOOD, **changed)] if module.endswith("defects.cluster") else []
        return lambda lab: [*made(lab), *more]

    monkeypatch.setattr(catalogue, "part", part)
    with pytest.raises(InputError) as error:
        catalogue.catalogue(inventory())
    assert said in error.value.message
    assert ".py: " in error.value.message
