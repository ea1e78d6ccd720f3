"""The double's contract: agrees with PVE's API viewer where its data is at hand; whole in itself anyway."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.pve.api import offered
from tests.doubles.pve.contract import ENDPOINTS
from tests.doubles.pve.contract_vm import OPTIONS, PRIVILEGES, ROOT_ONLY
from tests.doubles.pve.endpoint import Permission
from tests.doubles.pve.formats import FORMATS
from tests.doubles.pve.options import is_option
from tests.doubles.pve.parameters import Parameter
from tests.doubles.pve.routes import routes
from tests.doubles.pve.state import is_cloud_init_option
from tests.doubles.pve.world import answers

ROOT = Path(__file__).parents[3]
SCHEMA = Path(os.environ.get("PLUMBLINE_PVE_SCHEMA") or ROOT.parent / "shared" / "data" / "pve-8.4-api.json")
"""PVE's own description: METHOD /path -> parameters, permissions; machine-read from its API viewer."""


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    if not SCHEMA.exists():
        pytest.skip(f"no description of PVE's API at {SCHEMA}; PLUMBLINE_PVE_SCHEMA may name one")
    found: dict[str, Any] = json.loads(SCHEMA.read_text())
    return found


@pytest.mark.parametrize("name", offered(8))
def test_an_endpoint_agrees_with_pve(schema: dict[str, Any], name: str) -> None:
    assert name in schema, "PVE 8.4 has no such endpoint"
    ours, theirs = ENDPOINTS[name], schema[name]
    assert ours.allows_token == bool(theirs.get("allowtoken", 0))
    assert _comparable(ours.permission) == _comparable(_permission(theirs["permissions"]))
    known = theirs["parameters"].get("properties", {})
    missing = {key for key, value in known.items() if not value.get("optional")} - set(ours.parameters)
    assert not missing, "PVE insists on parameters that the double does not know"
    assert set(ours.parameters) <= set(known), "the double takes parameters that PVE refuses"
    faults = {
        key: text for key in ours.parameters if (text := _disagreement(ours.parameters[key], known[key]))
    }
    assert not faults


def _permission(described: dict[str, Any]) -> Permission:
    check: Permission = described.get("check", [])
    return check


def _comparable(permission: Permission) -> Any:
    """A check with the order of its privileges taken out."""
    return [
        sorted(part) if _is_privileges(part) else _comparable(part) if isinstance(part, list) else part
        for part in permission
    ]


def _is_privileges(part: Any) -> bool:
    return isinstance(part, list) and all(isinstance(word, str) and "." in word for word in part)


def _disagreement(ours: Parameter, theirs: dict[str, Any]) -> str:
    """What is wrong with a parameter, or ""; the double may know fewer words, never others."""
    bounds = {"least": "minimum", "most": "maximum", "shortest": "minLength", "longest": "maxLength"}
    for mine, name in bounds.items():
        value = theirs.get(name)
        if getattr(ours, mine) != (None if value is None else int(value)):
            return f"{name} is {value}"
    if ours.kind != theirs["type"]:
        return f"type is {theirs['type']}"
    if ours.needed == bool(theirs.get("optional")):
        return f"optional is {theirs.get('optional')}"
    if ours.requires != theirs.get("requires", ""):
        return f"requires is {theirs.get('requires')}"
    if ours.choices and not set(ours.choices) <= set(theirs["enum"]):
        return f"enum is {theirs['enum']}"
    if bool(ours.choices) != bool(theirs.get("enum")):
        return f"enum is {theirs.get('enum')}"
    if ours.pattern != theirs.get("pattern", "") and "(?^" not in theirs.get("pattern", ""):
        return f"pattern is {theirs.get('pattern')}"
    described = theirs.get("format", "")
    if isinstance(described, dict):
        unknown = set(ours.keys) - set(described)
        first = ours.keys[0] if ours.keys else ""
        return f"words are {sorted(described)}" if unknown or not described[first].get("default_key") else ""
    return "" if ours.format == described else f"format is {described}"


@pytest.mark.parametrize("major", [8, 9])
def test_every_endpoint_has_an_answer_and_every_answer_an_endpoint(major: int) -> None:
    assert set(offered(major)) <= set(answers.of)
    assert set(answers.of) == set(ENDPOINTS)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_the_parameters_of_a_path_are_needed(name: str) -> None:
    for parameter in re.findall(r"\{(\w+)\}", name):
        assert ENDPOINTS[name].parameters[parameter].needed or parameter == "storage"


def test_every_format_is_checked() -> None:
    named = {
        parameter.format for endpoint in ENDPOINTS.values() for parameter in endpoint.parameters.values()
    }
    unchecked = named - set(FORMATS) - {""}
    assert not unchecked


def test_every_option_of_a_vm_needs_a_privilege() -> None:
    free = [
        key
        for key in OPTIONS
        if key not in PRIVILEGES
        and key not in ROOT_ONLY
        and not is_cloud_init_option(key)
        and not re.fullmatch(r"(ide|scsi|virtio)\[n\]", key)
    ]
    assert not free
    assert all(is_option(key.replace("[n]", "0")) for key in OPTIONS)


def test_a_path_finds_its_endpoint_though_a_volume_has_slashes() -> None:
    path = "/nodes/pve-1/storage/local/content/local:import/jammy.qcow2"
    found = [route for route in routes(8) if route.method == "DELETE" and route.pattern.fullmatch(path)]
    assert [route.template for route in found] == ["/nodes/{node}/storage/{storage}/content/{volume}"]
