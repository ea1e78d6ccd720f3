"""Alloy's configuration as data: components, each with what it is given, and how they are written.

A value is written as JSON, which Alloy's language has for texts, numbers, lists and truth; `Word` is an
expression of its language: another component's export, or a call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Value = object
PODS, JOURNAL = "/var/log/pods", "/var/log/journal"
RETRIES, PAUSE = 1000, "10s"
"""How often, with which longest pause, a batch is sent again before it is dropped: for about three hours."""


@dataclass(frozen=True)
class Word:
    """An expression, written as it is."""

    text: str


@dataclass(frozen=True)
class Block:
    """A component (`kind` and `label`) or a block inside one: arguments, then blocks, in their order."""

    kind: str
    label: str = ""
    arguments: Mapping[str, Value] = field(default_factory=dict)
    blocks: Sequence[Block] = ()

    def lines(self, indent: str = "") -> Iterator[str]:
        """As Alloy's formatter writes it, but for aligned columns."""
        label = f' "{self.label}"' if self.label else ""
        if not (self.arguments or self.blocks):
            yield f"{indent}{self.kind}{label} {{ }}"
            return
        yield f"{indent}{self.kind}{label} {{"
        inner = indent + "\t"
        for name, value in self.arguments.items():
            yield f"{inner}{name} = {_written(value)}"
        for block in self.blocks:
            yield from block.lines(inner)
        yield f"{indent}}}"


def _written(value: Value) -> str:
    if isinstance(value, Word):
        return value.text
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {_written(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_written, value))}]"
    return json.dumps(value)


def text(blocks: Sequence[Block]) -> str:
    """A file of them."""
    return "\n\n".join("\n".join(block.lines()) for block in blocks) + "\n"


def of_nodes(store: str, keep_days: int) -> tuple[Block, ...]:
    """What runs on every node: its pods' files and its journal; `store` is Loki's URL."""
    receiver = Word("loki.write.store.receiver")
    only_here = Block(
        "selectors", "", {"role": "pod", "field": Word('"spec.nodeName=" + sys.env("NODE_NAME")')}
    )
    return (
        Block("logging", "", {"format": "json"}),
        Block("discovery.kubernetes", "pods", {"role": "pod"}, (only_here,)),
        Block(
            "discovery.relabel",
            "pods",
            {"targets": Word("discovery.kubernetes.pods.targets")},
            (*_labels(_POD_LABELS, "__meta_kubernetes_"), _files()),
        ),
        Block("local.file_match", "pods", {"path_targets": Word("discovery.relabel.pods.output")}),
        Block(
            "loki.source.file",
            "pods",
            {
                "targets": Word("local.file_match.pods.targets"),
                "forward_to": [Word("loki.process.pods.receiver")],
            },
        ),
        # parts of a long line become one again
        Block("loki.process", "pods", {"forward_to": [receiver]}, (Block("stage.cri"),)),
        Block("loki.relabel", "journal", {"forward_to": []}, tuple(_labels(_JOURNAL_LABELS, "__journal_"))),
        Block(
            "loki.source.journal",
            "node",
            {
                "path": JOURNAL,
                "max_age": f"{24 * keep_days}h",
                "relabel_rules": Word("loki.relabel.journal.rules"),
                "labels": {"job": "journal"},
                "forward_to": [receiver],
            },
        ),
        _write(store),
    )


def of_events(store: str) -> tuple[Block, ...]:
    """What runs once: Kubernetes' events, which every node would tell again."""
    return (
        Block("logging", "", {"format": "json"}),
        Block(
            "loki.source.kubernetes_events",
            "cluster",
            {"log_format": "json", "forward_to": [Word("loki.write.store.receiver")]},
        ),
        _write(store),
    )


_POD_LABELS = {
    "namespace": "namespace",
    "pod_name": "pod",
    "pod_container_name": "container",
    "pod_node_name": "host",
}
_JOURNAL_LABELS = {"_hostname": "host", "_systemd_unit": "unit", "priority_keyword": "level"}


def _labels(names: Mapping[str, str], prefix: str) -> Iterator[Block]:
    for source, target in names.items():
        yield Block("rule", "", {"source_labels": [f"{prefix}{source}"], "target_label": target})


def _files() -> Block:
    """Where a container's files are. The folder ends with the pod's uid, a static pod's with another."""
    sources = ["namespace", "pod_name", "pod_container_name"]
    return Block(
        "rule",
        "",
        {
            "source_labels": [f"__meta_kubernetes_{name}" for name in sources],
            "separator": "/",
            "regex": "([^/]+)/([^/]+)/([^/]+)",
            "target_label": "__path__",
            "replacement": f"{PODS}/$1_$2_*/$3/*.log",
        },
    )


def _write(store: str) -> Block:
    endpoint = {
        "url": f"{store}/loki/api/v1/push",
        "max_backoff_period": PAUSE,
        "max_backoff_retries": RETRIES,
    }
    return Block("loki.write", "store", {}, (Block("endpoint", "", endpoint),))
