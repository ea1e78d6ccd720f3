"""One meaning a name: whoever looks for a class finds one."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.unit.test_floors import MODULES


def test_no_two_public_classes_have_one_name() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(module)
    assert {name: modules for name, modules in found.items() if len(modules) > 1} == {}


def test_the_type_of_kubernetes_objects_stands_in_one_module() -> None:
    places = [
        module
        for module, path in MODULES.items()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "Object"
    ]
    assert places == ["lab.objects"]
