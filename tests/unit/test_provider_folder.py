"""A folder is all that a new provider needs: inventory, menu and openings know it with no other edit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.inventory.providers import names
from tests.soon import SOON

ROOT = Path(__file__).parents[2]
PARTS = ("lab", "addons", "artifacts", "inventory", "roles", "templates", "docs", "tasks.py")
RULES = """\
title: Toy cloud
stands_in: true
backends: [small, large]
takes: {arch: [amd64], hardware: [vm], os: [debian-12]}
refuses: [hypervisor, vmid, host_key, power]
"""
FACE = '''"""A provider that makes nothing."""

from lab.machines import Traits
from lab.providers.face import Face

FACE = Face(
    open=lambda opening: None,
    traits=lambda inventory, name: Traits(writes_seed=True),
    outputs=lambda inventory, keys: iter([("cloud/account.json", "{}")]),
)
'''
RACK = {
    "__init__.py": '"""A toy with a section and a command."""\n',
    "provider.yaml": "title: Rack\nsection: {key: rack, rule: which says its row, fix: add rack}\n",
    "face.py": FACE,
    "section.py": '''"""Where the rack is."""

from pydantic import Field

from lab.inventory.sections import Model
from lab.inventory.types import Whole


class Rack(Model):
    """The rack of the machines."""

    row: Whole = Field(ge=1, description="Its row in the hall.")


SECTION = Rack
''',
    "menu.py": '''"""The rack's own command."""

from lab.commands.menu import task
from lab.commands.options import INVENTORY

MENU = (task("lab.providers.rack.cli.row", "Print the row of the rack.", INVENTORY),)
''',
    "cli.py": '''"""rack.row"""

from lab.commands.session import read, shown
from lab.providers.rack.section import Rack


@shown
def row(inventory: str) -> None:
    print("row", read(inventory).section(Rack).row)
''',
}
"""A provider that cannot do without a section, and has a command of its own."""
SEEN = """\
from pathlib import Path
from lab.inventory import load
from lab.providers.opening import outputs, provider_for, stocked, traits_of
from lab.ssh import Keys
lab = load("rehearsal", provider="cloud")
print(provider_for(lab, Path(), backend="large"), traits_of(lab)["master-1"].writes_seed)
print(*(path for path, _ in outputs(lab, Keys(lab.lab))), *stocked(lab))
"""


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this checkout with two more folders."""
    copy = tmp_path_factory.mktemp("checkout")
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / part).exists():
            shutil.copy(ROOT / part, copy / part)
    cloud = {"__init__.py": '"""A toy."""\n', "provider.yaml": RULES, "face.py": FACE}
    for provider, files in {"cloud": cloud, "rack": RACK}.items():
        folder = copy / "lab" / "providers" / provider
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    return copy


def run(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=checkout, capture_output=True, text=True, timeout=SOON, check=False
    )


def test_an_inventory_may_name_it_and_a_rehearsal_choose_it(checkout: Path) -> None:
    done = run(checkout, "-m", "invoke", "validate", "-p", "cloud")
    assert done.returncode == 0, done.stderr
    assert "note: provider: lxc -> cloud" in done.stderr
    path = checkout / "mine.yaml"
    path.write_text((ROOT / "inventory" / "rehearsal.yaml").read_text().replace(": lxc", ": cluod"))
    refused = run(checkout, "-m", "invoke", "validate", "-i", str(path))
    assert refused.returncode == 2
    known = ", ".join(sorted({*names(), "cloud", "rack"}))
    rule = f"provider: cluod: must be one of {known}; did you mean cloud?"
    assert rule in refused.stderr


def test_it_is_opened_and_asked_by_its_face(checkout: Path) -> None:
    done = run(checkout, "-c", SEEN)
    assert done.stdout.splitlines() == ["None True", "cloud/account.json amd64"], done.stderr


def test_its_section_is_needed_read_and_asked_for_by_its_command(checkout: Path) -> None:
    assert "rack.row" in run(checkout, "-m", "invoke", "--list").stdout
    path = checkout / "racked.yaml"
    text = (ROOT / "inventory" / "rehearsal.yaml").read_text().replace("provider: lxc", "provider: rack")
    path.write_text(text)
    refused = run(checkout, "-m", "invoke", "validate", "-i", str(path))
    assert "the section rack is missing, which says its row; add rack" in refused.stderr
    path.write_text(f"{text}\nrack: {{row: 7}}\n")
    done = run(checkout, "-m", "invoke", "rack.row", "-i", str(path))
    assert done.stdout == "row 7\n", done.stderr


def test_schema_and_reference_page_follow(checkout: Path) -> None:
    assert run(checkout, "-m", "invoke", "docs").returncode == 0
    schema = json.loads((checkout / "inventory" / "schema.json").read_text())
    assert "cloud" in schema["$defs"]["ProviderName"]["enum"]
    page = (checkout / "docs" / "inventory.md").read_text()
    assert "`cloud`" in page
    assert "| `row` | whole number from 1 | **required** | Its row in the hall. |" in page
