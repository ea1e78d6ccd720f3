"""Seeded defects of files are named in the image of our machines, undone, and leave nothing: without a lab.

Everything happens in a mount namespace of the test's own, over the image, in memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lab.artifacts.rootfs import debian_tree
from lab.artifacts.store import Store
from lab.render.roles import all_packages

ROOT = Path(__file__).parents[2]
AT_LEAST = 45
"""So many defects need neither a unit that runs nor a cluster."""
SECONDS = 900

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, which only root may")


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    tree = debian_tree(Store(), all_packages(), "amd64", say=print)
    argv = [
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        sys.executable,
        "-m",
        "tests.integration.on_the_image",
    ]
    folder = tmp_path_factory.mktemp("image")
    done = subprocess.run(
        [*argv, str(tree), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_machine_as_it_was_made_turns_no_row_red(came: dict[str, Any]) -> None:
    assert [told for told in came["made"].values() if told] == []
    assert len(came["made"]) == 6


def test_each_defect_is_named_undone_and_leaves_nothing(came: dict[str, Any]) -> None:
    assert {name: wrong for name, wrong in came["defects"].items() if wrong} == {}
    assert len(came["defects"]) >= AT_LEAST
