"""The reference page of the inventory, generated from the models and the rules."""

from __future__ import annotations

import json
from collections.abc import Iterator

from lab.catalogue.load import load_catalogue
from lab.inventory import files
from lab.inventory.providers import names, usual
from lab.inventory.rules import rules
from lab.inventory.schema import Schema, tree
from lab.inventory.settled import KEY, Way
from lab.inventory.tested import tested
from lab.inventory.withdrawn import WITHDRAWN

FILE = files.FOLDER.parent / "docs" / "inventory.md"

_HEAD = """\
# The inventory

One YAML file describes one lab. `-i NAME` means `inventory/NAME.yaml`, `-i PATH.yaml` any file; without `-i`
it is `rehearsal`.

- `invoke validate -i NAME` checks a file and tells everything that is wrong at once, one line each: file and
  line, place, value as written, rule, other owners of a clash, and what to write instead.
  What is allowed and hardly meant is a warning: a line `warning: FILE:LINE: ...` on standard error, counted
  in the last line of `invoke validate`, and told again by `preflight`, `plan` and whatever changes the lab.
  Beside errors they are told behind them. A script finds each under `findings` of `invoke preflight --json`.
  Warnings change no exit code.
- `invoke show -i NAME` prints the lab as it will be: every derived value, and what is left of each capacity.
- `invoke init NAME` writes a new file. On a terminal it asks for what no option says, judges each answer by
  the rules below as soon as it is given, and asks again; Enter takes the default, Ctrl-C writes nothing.
  Without a terminal, what no option says has its default.
- `--provider USUAL` builds any inventory on this machine, as a lab called LAB-USUAL that shares nothing with
  the original; what was replaced is told.

```
$ invoke init mine
Who makes the machines (PROVIDERS) [USUAL]: docker
  provider: docker: must be one of PROVIDERS; write one of them
Who makes the machines (PROVIDERS) [USUAL]:
Network of the machines [10.1.1.0/24]: 10.9.0.5/24
  init: lan: 10.9.0.5/24: has host bits set; write 10.9.0.0/24
Network of the machines [10.1.1.0/24]: 10.9.0.0/24
Control plane machines (3, 5 or 7) [3]:
Workers [2]: 3
inventory/mine.yaml: written
  next: invoke show -i mine
```

The file is YAML 1.2: `no`, `on`, `010`, `0x1F` and `1:30` are text; only `true`, `false`, `null` and decimal
numbers are not. Unknown keys, repeated keys and tags are refused. Text that looks like a number or a truth
value is quoted: `rack: "12"`. So is text with a blank before `#`, where YAML begins a comment: `key: #x` is
refused, and of `password: abc #def` it is said that the value is `abc`. The comment at the top of the shipped
files lets editors complete and check:

```yaml
# yaml-language-server: $schema=schema.json
```

## The least a lab needs

```yaml
lab: small
provider: USUAL
network: {lan: 10.1.1.0/24, gateway: 10.1.1.1}
metallb:
  pools:
    - {name: default, addresses: [10.1.1.100-10.1.1.150]}
hosts:
  haproxy: {role: load-balancer, address: 10.1.1.50}
  master-1: {role: control-plane, address: 10.1.1.11}
  master-2: {role: control-plane, address: 10.1.1.12}
  master-3: {role: control-plane, address: 10.1.1.13}
  worker-1: {role: worker, address: 10.1.1.31}
```

Everything below is the whole of what can be written; it is generated from the models that read the file.
"""
"""The page's beginning, without PROVIDERS and the USUAL one."""


def reference() -> str:
    """The text of `docs/inventory.md`: every field with type, default, limits and meaning, and every rule."""
    root = tree()
    parts = [_HEAD.replace("PROVIDERS", ", ".join(names())).replace("USUAL", usual())]
    for title, model in _sections("", root, root):
        meaning = str(model["description"]).partition("\n")[0]
        parts.append(
            f"\n## {f'`{title}`' if title else 'Top of the file'}\n\n{meaning}\n\n{_table(model, root)}"
        )
    parts.append("\n## Rules between fields\n\n")
    parts.extend(f"- {_first_sentence(rule.__doc__ or '')}\n" for rule in rules())
    parts.append(
        "\n## Refused for now\n\nNo field is accepted that builds nothing. These are refused by name:\n\n"
    )
    parts.extend(f"- `{'.'.join(map(str, item.told))}`: {item.rule}.\n" for item in WITHDRAWN.values())
    parts.append("\nTested versions: ")
    parts.append("; ".join(f"{name} {', '.join(tested(name))}" for name in load_catalogue().sections) + ".\n")
    return "".join(parts)


def _sections(path: str, model: Schema, root: Schema) -> Iterator[tuple[str, Schema]]:
    """Every mapping with fixed keys, the outer before the inner."""
    yield path, model
    for key, field in model["properties"].items():
        here = f"{path}.{key}" if path else key
        for suffix, kind in (("", field), ("[]", field.get("items", {})), (".NAME", _named(field))):
            inner = _model(kind, root)
            if inner is not None:
                yield from _sections(here + suffix, inner, root)


def _named(field: Schema) -> Schema:
    """The type of the values of a mapping with free names, or with names from a list."""
    values: Schema = next(iter(field.get("patternProperties", {}).values()), {})
    return values or (field.get("propertyNames") and field["additionalProperties"]) or {}


def _resolved(kind: Schema, root: Schema) -> Schema:
    """A type without the wrapping of references and of `null`."""
    for option in kind.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolved(option, root)
    if "$ref" in kind:
        target: Schema = root["$defs"][kind["$ref"].rpartition("/")[2]]
        return target
    return kind


def _model(kind: Schema, root: Schema) -> Schema | None:
    resolved = _resolved(kind, root)
    return resolved if "properties" in resolved else None


def _table(model: Schema, root: Schema) -> str:
    rows = ["| key | type | default | meaning |\n|---|---|---|---|\n"]
    for key, field in model["properties"].items():
        meaning = field.get("description") or _resolved(field, root).get("description", "")
        default = "**required**" if key in model.get("required", ()) else _default(field)
        told = meaning.partition(chr(10))[0]
        if KEY in field:
            told += f" {Way(field[KEY]).sentence}"
        rows.append(f"| `{key}` | {_type(field, root)} | {default} | {told} |\n")
    return "".join(rows)


def _default(field: Schema) -> str:
    value = field.get("default")
    return (
        "" if value in (None, [], {}) or isinstance(value, dict) else f"`{json.dumps(value).strip(chr(34))}`"
    )


def _type(kind: Schema, root: Schema) -> str:
    kind = _resolved(kind, root)
    if "enum" in kind:
        return ", ".join(f"`{choice}`" for choice in kind["enum"])
    match kind.get("type"):
        case "integer" | "number":
            word = "whole number" if kind["type"] == "integer" else "number"
            low, high = kind.get("minimum"), kind.get("maximum")
            if low is not None:
                return f"{word} {low} to {high}" if high is not None else f"{word} from {low}"
            above = f"above {kind['exclusiveMinimum']:g}" if "exclusiveMinimum" in kind else ""
            most = f"at most {high:g}" if high is not None else ""
            return " ".join((word, ", ".join(filter(None, (above, most))))).rstrip()
        case "boolean":
            return "`true` or `false`"
        case "array":
            return f"list of {_type(kind['items'], root)}"
        case "object":
            return "section" if "properties" in kind else "mapping by name"
    return {"ipv4": "IPv4 address", "ipv4network": "IPv4 network"}.get(kind.get("format", ""), "text")


def _first_sentence(text: str) -> str:
    return " ".join(text.partition("\n\n")[0].split())
