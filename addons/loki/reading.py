"""Alloy's language, as far as a check needs it: blocks, arguments, and who forwards to whom."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'\s*(?:(?P<text>"(?:[^"\\\n]|\\.)*")|(?P<word>[A-Za-z_][\w.]*)|(?P<number>\d+)|(?P<sign>[={}\[\](),+:]))'
)
_PAIRS = {"[": "]", "{": "}", "(": ")"}
_REFERENCE = re.compile(r"\b((?:loki|discovery|local)\.[a-z_]+\.[a-z_]+)\.([a-z_]+)\b")
EXPORTS = {
    "discovery.kubernetes": "targets",
    "discovery.relabel": "output",
    "local.file_match": "targets",
    "loki.process": "receiver",
    "loki.relabel": "rules",
    "loki.write": "receiver",
}
"""What components export that others are given, by their kinds."""
SENDERS = ("loki.source.file", "loki.source.journal", "loki.source.kubernetes_events", "loki.process")


@dataclass
class Read:
    """A block as it was read: its arguments as they are written, and its blocks."""

    kind: str
    label: str
    arguments: dict[str, str] = field(default_factory=dict)
    blocks: list[Read] = field(default_factory=list)

    @property
    def name(self) -> str:
        """How others refer to a component."""
        return f"{self.kind}.{self.label}" if self.label else self.kind


def blocks(text: str) -> list[Read]:
    """The blocks of a file. Raises `ValueError` with the place of what is none."""
    tokens = list(_tokens(text))
    found, end = _inside(tokens, 0, Read("", ""))
    if end != len(tokens):
        raise ValueError(f"a }} too many, before {' '.join(tokens[end : end + 5])!r}")
    return found.blocks


def _tokens(text: str) -> Iterator[str]:
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"not of the language: {text[place : place + 40].strip()!r}")
        yield match.group().strip()
        place = match.end()


def _inside(tokens: list[str], at: int, outer: Read) -> tuple[Read, int]:
    """What stands in a block, from the token `at`; where its } is, or the end."""
    while at < len(tokens) and tokens[at] != "}":
        name = tokens[at]
        if at + 1 < len(tokens) and tokens[at + 1] == "=":
            value, at = _value(tokens, at + 2)
            if name in outer.arguments:
                raise ValueError(f"{outer.name}: {name}: stands twice")
            outer.arguments[name] = value
            continue
        label = tokens[at + 1].strip('"') if tokens[at + 1 : at + 2] and tokens[at + 1][0] == '"' else ""
        opening = at + (2 if label else 1)
        if tokens[opening : opening + 1] != ["{"]:
            raise ValueError(f"{outer.name or 'the file'}: {name}: is neither an argument nor a block")
        block, at = _inside(tokens, opening + 1, Read(name, label))
        if at >= len(tokens):
            raise ValueError(f"{block.name}: its }} is missing")
        outer.blocks.append(block)
        at += 1
    return outer, at


def _value(tokens: list[str], at: int) -> tuple[str, int]:
    """An expression up to its end: brackets are closed, and no sign joins what follows."""
    open_ones, words = "", list[str]()
    while at < len(tokens):
        token = tokens[at]
        closing = token in _PAIRS.values()
        if not open_ones and (closing or (words and not _goes_on(words[-1], token))):
            break
        if closing and token != _PAIRS[open_ones[-1]]:
            break
        open_ones = open_ones[:-1] if closing else open_ones + (token if token in _PAIRS else "")
        words.append(token)
        at += 1
    if open_ones or not words:
        raise ValueError(f"an expression without an end: {' '.join(words)!r}")
    return " ".join(words), at


def _goes_on(last: str, token: str) -> bool:
    return last == "+" or token in ("+", "(")


def problems(text: str) -> list[str]:
    """What is wrong with a configuration: references to nobody, senders without a receiver, names twice."""
    try:
        found = blocks(text)
    except ValueError as error:
        return [str(error)]
    names = [block.name for block in found]
    wrong = [f"{name}: stands twice" for name in sorted({one for one in names if names.count(one) > 1})]
    for block in found:
        wrong += [f"{block.name}: {fault}" for fault in _references(block, {*names})]
        if block.kind in SENDERS and "receiver" not in block.arguments.get("forward_to", ""):
            wrong.append(f"{block.name}: forward_to: names no receiver")
        if block.kind == "loki.write" and not any("url" in inner.arguments for inner in block.blocks):
            wrong.append(f"{block.name}: endpoint: url: is missing")
    if not any(block.kind == "loki.write" for block in found):
        wrong.append("no loki.write: nothing is sent anywhere")
    return wrong


def _references(block: Read, names: set[str]) -> Iterator[str]:
    for argument, value in block.arguments.items():
        for name, export in _REFERENCE.findall(re.sub(r'"(?:[^"\\]|\\.)*"', "", value)):
            kind = name.rpartition(".")[0]
            if name not in names:
                yield f"{argument}: there is no {name}"
            elif EXPORTS.get(kind) != export:
                yield f"{argument}: {name} exports {EXPORTS.get(kind, 'nothing')}, not {export}"
    for inner in block.blocks:
        yield from _references(inner, names)


REQUIRED = (
    "auth_enabled",
    "common.path_prefix",
    "common.replication_factor",
    "common.ring.kvstore.store",
    "common.storage.filesystem.chunks_directory",
    "compactor.delete_request_store",
    "compactor.working_directory",
    "limits_config.retention_period",
    "schema_config.configs",
    "server.http_listen_port",
)
"""Keys without which Loki does not start as one program, or keeps everything for ever."""


def lacking(configuration: Mapping[str, Any], data: str) -> list[str]:
    """What a configuration of Loki lacks; `data` is the folder of its volume."""
    wrong = [f"{key}: is missing" for key in REQUIRED if _at(configuration, key) is None]
    if _at(configuration, "compactor.retention_enabled") is not True:
        wrong.append("compactor.retention_enabled: must be true, or nothing is ever removed")
    folders = [
        key for key in REQUIRED if key.endswith(("path_prefix", "_directory")) and _at(configuration, key)
    ]
    for key in folders:
        where = str(_at(configuration, key))
        if where != data and not where.startswith(f"{data}/"):
            wrong.append(f"{key}: {where}: is not on the volume {data}")
    periods = [_at(one, "index.period") for one in _at(configuration, "schema_config.configs") or ()]
    wrong += [
        f"schema_config.configs: index.period: {one}: must be 24h for retention"
        for one in periods
        if one != "24h"
    ]
    return wrong


def _at(data: Mapping[str, Any], key: str) -> Any:
    found: Any = data
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
