"""The objects that kubeadm itself makes in every cluster (kube-proxy, CoreDNS), as a dry run prints them."""

from __future__ import annotations

from collections.abc import Iterator

from lab.objects import Object
from lab.own_yaml import loads, without_nulls

MANAGER = "kubeadm"
"""Under this name the API is asked what applying them would change: what the lab has added to them stays."""
COMMAND = (
    "export KUBEADM_INIT_DRYRUN_DIR=$(mktemp -d)"
    " && { kubeadm init phase addon all --dry-run --config /dev/stdin; code=$?;"
    ' rm -rf "$KUBEADM_INIT_DRYRUN_DIR"; exit $code; }'
)
"""Reads the documents of `kubeadm init` from its input; asks no cluster (kubeadm answers its own questions).
`--print-manifest` would say the same, but is refused beside a document (ValidateMixedArguments)."""
OBJECT = "[dryrun] Attached object:"
"""The line before an object, whose own lines begin with a tab."""


def made(output: str) -> list[Object]:
    """The objects of the dry run, without what is empty in new ones. Raises `ValueError` if it has none."""
    found = [without_nulls(loads(text)) for text in _documents(output)]
    if not found:
        raise ValueError(f"kubeadm's dry run names no object: {output[-300:]}")
    return [_applicable(item) for item in found]


def _documents(output: str) -> Iterator[str]:
    lines: list[str] | None = None
    for line in [*output.splitlines(), ""]:
        if lines is not None and line.startswith("\t"):
            lines.append(line[1:])
            continue
        if lines:
            yield "\n".join(lines)
        lines = [] if line == OBJECT else None


def _applicable(item: Object) -> Object:
    """Without status, and without the version that makes an update of it unconditional."""
    meta = {key: value for key, value in item["metadata"].items() if key != "resourceVersion"}
    return {key: value for key, value in item.items() if key != "status"} | {"metadata": meta}
