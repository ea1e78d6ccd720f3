"""Kubernetes' own schemas, of the pinned API and of CRDs: an object fits, and no field is unknown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.objects import Object

Schema = Mapping[str, Any]

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
FREE_TEXT_OR_NUMBER = "int-or-string"


@dataclass(frozen=True)
class Schemas:
    """Schemas by (apiVersion, kind), and the definitions they refer to."""

    kinds: Mapping[tuple[str, str], Schema]
    definitions: Mapping[str, Schema]

    @classmethod
    def load(cls, openapi: Path, manifests: list[Object]) -> Schemas:
        """From the API's swagger.json and from the CRDs among `manifests`."""
        definitions: dict[str, Schema] = json.loads(openapi.read_text())["definitions"]
        kinds = {
            (f"{kind['group']}/{kind['version']}".lstrip("/"), kind["kind"]): definition
            for definition in definitions.values()
            for kind in definition.get("x-kubernetes-group-version-kind", ())
        }
        for item in manifests:
            if item["kind"] == "CustomResourceDefinition":
                spec = item["spec"]
                for version in (one for one in spec["versions"] if one["served"]):
                    schema = version["schema"]["openAPIV3Schema"]
                    kinds[f"{spec['group']}/{version['name']}", spec["names"]["kind"]] = schema
        return cls(kinds, definitions)

    def errors(self, item: Object, *, partial: bool = False) -> list[str]:
        """What is wrong with an object, a line each with its path.

        `partial` objects are applied onto one that exists: they may leave out what is required.
        """
        version, kind = item.get("apiVersion"), item.get("kind")
        schema = self.kinds.get((str(version), str(kind)))
        if schema is None:
            return [f"{version} {kind}: the API of this version serves no such kind"]
        name = f"{kind}/{item.get('metadata', {}).get('name', '')}"
        # a CRD's schema says nothing about metadata, which is the same for every kind
        rest = {key: value for key, value in item.items() if key not in ("apiVersion", "kind", "metadata")}
        top = {key: value for key, value in schema.items() if key != "required"}
        found = list(self._check(top, rest, name, partial))
        found += self._check(self.definitions[META], item.get("metadata", {}), f"{name}.metadata", partial)
        missing = [key for key in schema.get("required", ()) if key not in item]
        return found + ([] if partial else [f"{name}: {key} is missing" for key in missing])

    def _check(self, schema: Schema, value: Any, path: str, partial: bool) -> Iterator[str]:
        if "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        if value is None and schema.get("nullable"):
            return
        if schema.get("format") == FREE_TEXT_OR_NUMBER or schema.get("x-kubernetes-int-or-string"):
            if not isinstance(value, int | str) or isinstance(value, bool):
                yield f"{path}: {value!r} is neither a whole number nor text"
            return
        wanted = schema.get("type")
        if wanted is None and "properties" not in schema:
            return  # any value: RawExtension, JSON
        if not _is_a(value, wanted or "object"):
            yield f"{path}: {value!r} is no {wanted or 'object'}"
            return
        yield from _limits(schema, value, path)
        if isinstance(value, list):
            for index, entry in enumerate(value):
                yield from self._check(schema.get("items", {}), entry, f"{path}[{index}]", partial)
        elif isinstance(value, dict):
            yield from self._mapping(schema, value, path, partial)

    def _mapping(self, schema: Schema, value: Object, path: str, partial: bool) -> Iterator[str]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        others = schema.get("additionalProperties")
        open_ended = (
            schema.get("x-kubernetes-preserve-unknown-fields")
            or schema.get("x-kubernetes-embedded-resource")
            or (not properties and others is None)
        )
        for key, entry in value.items():
            if key in properties:
                yield from self._check(properties[key], entry, f"{path}.{key}", partial)
            elif isinstance(others, dict):
                yield from self._check(others, entry, f"{path}.{key}", partial)
            elif not open_ended and others is not True:
                yield f"{path}.{key}: no such field"
        if not partial:
            yield from (f"{path}: {key} is missing" for key in schema.get("required", ()) if key not in value)


def _is_a(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted == "boolean"
    return isinstance(value, TYPES[wanted])


def _limits(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not one of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        if "minimum" in schema and value < schema["minimum"]:
            yield f"{path}: {value} is below {schema['minimum']}"
        if "maximum" in schema and value > schema["maximum"]:
            yield f"{path}: {value} is above {schema['maximum']}"
    if isinstance(value, list) and len(value) < schema.get("minItems", 0):
        yield f"{path}: has {len(value)} entries, at least {schema['minItems']} are needed"
