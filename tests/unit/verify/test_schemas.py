"""Objects judged by schemas: what fits passes, everything else is named by its path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.verify.schemas import META, Schemas

SPEC = {
    "type": "object",
    "required": ["size"],
    "properties": {
        "size": {"type": "integer", "minimum": 1, "maximum": 9},
        "port": {"type": "string", "format": "int-or-string"},
        "mode": {"type": "string", "enum": ["on", "off"]},
        "free": {"type": "object"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "parts": {"type": "array", "items": {"$ref": "#/definitions/Part"}},
        "any": {"description": "any value"},
    },
}
OPENAPI = {
    "definitions": {
        META: {"type": "object", "properties": {"name": {"type": "string"}, "namespace": {"type": "string"}}},
        "Part": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
        "Thing": {
            "type": "object",
            "required": ["spec"],
            "properties": {"apiVersion": {}, "kind": {}, "metadata": {"$ref": META}, "spec": SPEC},
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Thing"}],
        },
    }
}
TEN = {"type": "string", "pattern": "^10[.]"}
POOL = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "addresses": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "string", "pattern": "^10[.]"},
                },
                "extra": {
                    "type": "object",
                    "x-kubernetes-preserve-unknown-fields": True,
                    "properties": {"a": {}},
                },
            },
        }
    },
}
CRD = {
    "kind": "CustomResourceDefinition",
    "spec": {
        "group": "lb.example",
        "names": {"kind": "Pool"},
        "versions": [
            {"name": "v1", "served": True, "schema": {"openAPIV3Schema": POOL}},
            {"name": "v0", "served": False, "schema": {"openAPIV3Schema": POOL}},
        ],
    },
}


@pytest.fixture
def schemas(tmp_path: Path) -> Schemas:
    (tmp_path / "swagger.json").write_text(json.dumps(OPENAPI))
    return Schemas.load(tmp_path / "swagger.json", [CRD])


def thing(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": "Thing", "metadata": {"name": "x"}, "spec": {"size": 1} | spec}


def pool(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "lb.example/v1", "kind": "Pool", "metadata": {"name": "x"}, "spec": spec}


def test_what_fits_passes(schemas: Schemas) -> None:
    full = {
        "port": 80,
        "mode": "on",
        "free": {"a": 1},
        "labels": {"a": "b"},
        "parts": [{"name": "p"}],
        "any": 7,
    }
    assert schemas.errors(thing(**full, size=9)) == []
    assert schemas.errors(thing(port="http")) == []
    assert schemas.errors(pool(addresses=["10.1.1.1"], extra={"b": [1]})) == []


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ({"siz": 1}, "Thing/x.spec.siz: no such field"),
        ({"size": "1"}, "Thing/x.spec.size: '1' is no integer"),
        ({"size": True}, "Thing/x.spec.size: True is no integer"),
        ({"size": 0}, "Thing/x.spec.size: 0 is below 1"),
        ({"size": 10}, "Thing/x.spec.size: 10 is above 9"),
        ({"mode": "no"}, "Thing/x.spec.mode: 'no' is not one of on, off"),
        ({"port": 1.5}, "Thing/x.spec.port: 1.5 is neither a whole number nor text"),
        ({"labels": {"a": 1}}, "Thing/x.spec.labels.a: 1 is no string"),
        ({"parts": [{}]}, "Thing/x.spec.parts[0]: name is missing"),
        ({"parts": [{"name": "p", "nam": 1}]}, "Thing/x.spec.parts[0].nam: no such field"),
        ({"parts": {}}, "Thing/x.spec.parts: {} is no array"),
    ],
)
def test_what_does_not_fit_is_named_by_its_path(schemas: Schemas, spec: dict[str, Any], error: str) -> None:
    assert schemas.errors(thing(**spec)) == [error]


def test_objects_of_a_crd_are_judged_by_its_schema(schemas: Schemas) -> None:
    assert schemas.errors(pool(addresses=[])) == [
        "Pool/x.spec.addresses: has 0 entries, at least 1 are needed"
    ]
    assert schemas.errors(pool(addresses=["11.0.0.1"])) == [
        "Pool/x.spec.addresses[0]: '11.0.0.1' does not match ^10[.]"
    ]
    assert schemas.errors(pool(adresses=["10.1.1.1"])) == ["Pool/x.spec.adresses: no such field"]


def test_a_kind_that_is_not_served_is_refused(schemas: Schemas) -> None:
    [error] = schemas.errors(pool() | {"apiVersion": "lb.example/v0"})
    assert error == "lb.example/v0 Pool: the API of this version serves no such kind"


def test_metadata_is_judged_for_every_kind(schemas: Schemas) -> None:
    assert schemas.errors(pool() | {"metadata": {"nam": "x"}}) == ["Pool/.metadata.nam: no such field"]


def test_a_part_of_an_object_may_leave_out_what_is_required(schemas: Schemas) -> None:
    part = thing(parts=[{}])
    del part["spec"]["size"]
    assert schemas.errors(part, partial=True) == []
    assert len(schemas.errors(part)) == 2
    assert schemas.errors({key: part[key] for key in ("apiVersion", "kind", "metadata")}) == [
        "Thing/x: spec is missing"
    ]
