"""Processes of one layer do not meet: what a session fixture makes in the cluster is made once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lab.verify.layers import LAYERS, Layer

SHARED = {"everywhere", "probes"}
"""Fixtures whose namespace has one name in a lab."""


def uses(path: Path) -> bool:
    """Whether a test or a fixture of a file asks for one of them."""
    functions = (item for item in ast.walk(ast.parse(path.read_text())) if isinstance(item, ast.FunctionDef))
    return any(SHARED & {word.arg for word in function.args.args} for function in functions)


@pytest.mark.parametrize(
    "layer", [layer for layer in LAYERS if layer.workers > 1], ids=lambda layer: layer.name
)
def test_one_file_of_a_layer_has_the_namespace_that_is_made_once(layer: Layer) -> None:
    """Files are dealt out to processes: two that had it would each find the other's."""
    assert layer.files
    assert len([path for path in layer.files if uses(path)]) <= 1
