"""Which unit tests a change needs: those that could notice it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hook.affected import ALL, FOUND, PAGES, Tree, affected

ROOT = Path(__file__).parents[3]
TREE = Tree(ROOT)
RUN_BY_LOCUST = "lab/load/locustfile.py"
"""It imports what was written for one run, and no module of ours."""


def test_every_module_that_imports_by_name_is_known() -> None:
    texts = {path: (ROOT / path).read_text() for path in TREE.names if path.startswith(("lab/", "addons/"))}
    by_name = re.compile(r"import_module\(|^from lab\.parts import .*\bpart$", re.MULTILINE)
    found = {TREE.names[path] for path, text in texts.items() if by_name.search(text)}
    assert found | {"lab.verify.layers"} == set(FOUND) | {TREE.names[RUN_BY_LOCUST], "lab.parts"}
    assert all(list(ROOT.glob(pattern)) for patterns in FOUND.values() for pattern in patterns)


@pytest.mark.parametrize(
    ("changed", "test"),
    [
        ("lab/hosts/rotation.py", "tests/unit/steps/test_rotation.py"),
        ("lab/report/html.py", "tests/unit/report/test_report.py"),
        ("lab/steps/leaving.py", "tests/unit/core/test_destroying.py"),
        ("lab/operations/reconfigure.py", "tests/unit/steps/test_reconfigure.py"),
        ("lab/commands/bench.py", "tests/unit/core/test_tasks.py"),
        ("lab/providers/static/face.py", "tests/unit/test_static.py"),
        ("addons/metallb/section.py", "tests/unit/inventory/test_inventory_loading.py"),
        ("addons/metallb/defects.py", "tests/unit/selftest/test_selftest.py"),
        ("tests/acceptance/test_20_cluster_settled.py", "tests/unit/verify/test_index.py"),
        ("tests/unit/steps/conftest.py", "tests/unit/steps/test_gate.py"),
        ("tests/world.py", "tests/unit/steps/test_build.py"),
    ],
)
def test_who_imports_it_however_far_away_is_run(changed: str, test: str) -> None:
    assert (ROOT / test).is_file()
    found = affected(TREE, [changed])
    assert test in found
    assert "tests/unit/test_floors.py" in found, "it reads every file"
    assert found != ALL


def test_what_does_not_import_it_is_left_out() -> None:
    found = affected(TREE, ["lab/report/html.py"])
    assert "tests/unit/inventory/test_reaction.py" not in found
    assert "tests/unit/steps/test_rotation.py" not in found


@pytest.mark.parametrize("changed", ["roles/worker.yaml", "lab/gone.py", "pyproject.toml", "Makefile"])
def test_what_no_module_is_known_by_needs_all_of_them(changed: str) -> None:
    assert affected(TREE, [changed, "lab/errors.py"]) == ALL


def test_pages_need_the_generated_ones_alone() -> None:
    assert affected(TREE, ["docs/house.md", "README.md"]) == PAGES
    assert affected(TREE, []) == ()
    assert (ROOT / PAGES[0]).is_file()
